"use strict";
// The image that goes into the network: a line, a digit, or a picture of the user's.

// Numbers that look random, the same each time (mulberry32), and normal ones of them.
function randomOf(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const normals = (() => {
  const random = randomOf(1);
  return Float32Array.from(
    { length: 3 * SIDE * SIDE },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
})();

// The line as it fits into the image: shorter, narrower or moved if need be.
function fitted(line) {
  let { length, width, angle, x, y } = line;
  for (;;) {
    const [halfX, halfY] = Lines.halfExtent(length, width, angle);
    if (Math.max(halfX, halfY) <= SIDE / 2) {
      x = clip(x, halfX, SIDE - halfX);
      y = clip(y, halfY, SIDE - halfY);
      return { length, width, angle, x, y };
    }
    if (length > 2) length -= 0.1;
    else width -= 0.1;
  }
}
// The same in hundredths, so that the address can hold it.
function moved(line) {
  const pairs = Object.entries(fitted(line)).map(([name, value]) => [
    name,
    Math.round(100 * value) / 100,
  ]);
  Object.assign(state.line, Object.fromEntries(pairs));
}
function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}
function changed(image) {
  if (!state.noise && !state.ground) return image;
  return image.map((value, i) => {
    const on = Math.round(state.ground + value * (1 - state.ground / 255));
    return clip(Math.round(on + state.noise * normals[i]), 0, 255);
  });
}
function drawnLine(line) {
  return changed(Lines.render(fitted(line), rgb(state.color)));
}
function inputPixels() {
  if (state.mode === "lines") return drawnLine(state.line);
  if (state.mode === "image") return state.picture;
  const image =
    state.example !== null
      ? EXAMPLES[state.example].pixels
      : Digits.image(state.strokes, state.prepared);
  return image && changed(image);
}
