"use strict";
// Strokes as MNIST's digits were made: see `cnnlab.drawings`, which this follows for bright ink on
// black, number by number.
(function (root) {
  const SIDE = 28,
    BOX = 20,
    MIDDLE = 14;
  const PAD = 140; // pixels a side that strokes are drawn into first
  const FEW = 1 / 5000,
    FAINT = 0.1; // as in `drawings`
  const PEN = 5.5; // half the width of a stroke, in pixels of the pad
  const clip = (x, low, high) => Math.min(Math.max(x, low), high);
  const roundEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

  // Draws strokes, lists of [x, y] in 0..1, into (PAD * PAD) bytes.
  function drawn(strokes) {
    const pad = new Uint8Array(PAD * PAD);
    for (const stroke of strokes) {
      const points = stroke.map(([x, y]) => [x * PAD, y * PAD]);
      points.forEach(([x, y], n) => {
        const [fromX, fromY] = points[Math.max(0, n - 1)];
        const alongX = x - fromX,
          alongY = y - fromY,
          square = alongX ** 2 + alongY ** 2 || 1;
        const [left, right] = [Math.min(x, fromX) - PEN - 1, Math.max(x, fromX) + PEN + 1];
        const [top, bottom] = [Math.min(y, fromY) - PEN - 1, Math.max(y, fromY) + PEN + 1];
        for (let row = Math.max(0, top | 0); row < Math.min(PAD, bottom); row++)
          for (let column = Math.max(0, left | 0); column < Math.min(PAD, right); column++) {
            const dx = column + 0.5 - fromX,
              dy = row + 0.5 - fromY;
            const part = clip((dx * alongX + dy * alongY) / square, 0, 1);
            const distance = Math.hypot(dx - part * alongX, dy - part * alongY);
            const value = Math.round(255 * clip(PEN + 0.5 - distance, 0, 1)),
              at = row * PAD + column;
            pad[at] = Math.max(pad[at], value);
          }
      });
    }
    return pad;
  }

  // What a row of `size` pixels gives of `from` others: triangles as wide as the scale (Pillow's).
  function weights(from, size) {
    const scale = from / size,
      wide = Math.max(scale, 1);
    return Array.from({ length: size }, (_, i) => {
      const center = (i + 0.5) * scale;
      const first = Math.max(0, (center - wide + 0.5) | 0);
      const last = Math.min(from, (center + wide + 0.5) | 0);
      const of = [];
      for (let x = first; x < last; x++)
        of.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / wide)));
      const sum = of.reduce((a, b) => a + b, 0);
      return [first, of.map((weight) => weight / sum)];
    });
  }

  function resized(image, [rows, columns], [height, width]) {
    const middle = new Float32Array(rows * width),
      made = new Float32Array(height * width);
    const across = weights(columns, width),
      down = weights(rows, height);
    for (let y = 0; y < rows; y++)
      across.forEach(([first, of], x) => {
        middle[y * width + x] = of.reduce(
          (sum, w, i) => sum + w * image[y * columns + first + i],
          0,
        );
      });
    down.forEach(([first, of], y) => {
      for (let x = 0; x < width; x++)
        made[y * width + x] = of.reduce(
          (sum, w, i) => sum + w * middle[(first + i) * width + x],
          0,
        );
    });
    return made;
  }

  // Returns (28 * 28) bytes, or null where nothing is drawn. Without `prepared` the pad is only
  // made smaller, and the digit stays where it is.
  function image(strokes, prepared = true) {
    const pad = drawn(strokes);
    if (!pad.some((value) => value > 0)) return null;
    const made = new Uint8Array(SIDE * SIDE);
    if (!prepared) {
      resized(Float32Array.from(pad), [PAD, PAD], [SIDE, SIDE]).forEach((value, i) => {
        made[i] = roundEven(value);
      });
      return made;
    }
    return asMnist(pad, PAD) || made;
  }

  function asMnist(pad, side) {
    const sorted = Float64Array.from(pad).sort();
    const farthest = sorted[sorted.length - 1 - Math.floor(FEW * sorted.length)];
    if (farthest < 255 * FAINT) return null;
    const ink = Float32Array.from(pad, (value) => {
      const amount = clip((2 * value) / farthest - 0.5, 0, 1);
      return amount < FAINT ? 0 : amount;
    });
    const inked = [...ink.keys()].filter((i) => ink[i] > 0);
    const rows = inked.map((i) => (i / side) | 0),
      columns = inked.map((i) => i % side);
    const least = (list) => list.reduce((a, b) => Math.min(a, b));
    const most = (list) => list.reduce((a, b) => Math.max(a, b));
    const [top, left] = [least(rows), least(columns)];
    const box = [most(rows) - top + 1, most(columns) - left + 1];
    const cut = new Float32Array(box[0] * box[1]);
    for (let i = 0; i < cut.length; i++)
      cut[i] = ink[(top + ((i / box[1]) | 0)) * side + left + (i % box[1])];
    const size = box.map((each) => Math.max(1, roundEven((BOX * each) / Math.max(...box))));
    const digit = resized(cut, box, size),
      made = new Uint8Array(SIDE * SIDE);
    const start = size.map((each, axis) => {
      let sum = 0,
        mass = 0;
      digit.forEach((value, i) => {
        sum += value * (axis ? i % size[1] : (i / size[1]) | 0);
        mass += value;
      });
      return clip(roundEven(MIDDLE - sum / mass), 0, SIDE - each);
    });
    digit.forEach((value, i) => {
      const row = start[0] + ((i / size[1]) | 0);
      made[row * SIDE + start[1] + (i % size[1])] = roundEven(Math.fround(255 * value));
    });
    return made;
  }

  Object.assign(root, { image, asMnist, drawn, PAD });
})(typeof window === "undefined" ? module.exports : (window.Digits = {}));
