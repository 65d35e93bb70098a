"use strict";
// What follows from an image: answers, heatmaps, and what a screen reader says.

function update() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (network) show();
  });
}

function show() {
  const begin = performance.now();
  pixels = inputPixels();
  document.body.classList.toggle("empty", !pixels);
  $("checked").replaceChildren();
  handles();
  if (!pixels) return nothing();
  network.run(pixels);
  found = network.heads.map((head) => {
    const answers = network.answers(head),
      predicted = best(answers);
    const isChosen = head.name === state.head && state.target !== null;
    const target = isChosen ? state.target : predicted,
      layer = shownLayer(head);
    const map = layer && network.heatmap(head, target, layer, state.method);
    return { head, answers, predicted, target, map };
  });
  const most = found.reduce((top, one) => Math.max(top, one.map ? one.map.peak : 0), 0);
  found.forEach((one) => answer(one, most));
  const chosen = found.find((one) => one.head.name === state.head);
  const isDrawing = state.mode === "digits" && state.example === null,
    heat = state.heat && chosen.map && chosen.map.heat;
  $("image").hidden = isDrawing; // the strokes are on the stage, and what is made of them beside it
  if ($("seen")) $("seen").parentElement.hidden = !isDrawing;
  Paint.image(isDrawing ? $("seen") : $("image"), pixels, network.input, heat);
  $("scale").textContent = explained(chosen);
  shown.forEach((layer) => (layer.old = true));
  shown.forEach(paintLayer);
  later("others", 100, others);
  later("inside", 250, circle);
  later("hash", 300, remember);
  later("said", 500, say);
  window.lastUpdate = performance.now() - begin;
}

function explained({ head, target, map }) {
  if (!map) return `${nameOf(head)} has no feature maps to explain.`;
  const what = `${nameOf(head)} “${head.names[target]}”`;
  if (!(map.peak > 0)) return `Nothing on the image is evidence for ${what}.`;
  const where = `layer ${shownLayer(head)}; peak ${map.peak.toPrecision(3)}`;
  return `Bright areas are evidence for ${what} (${where}, on the scale before the softmax).`;
}

function nothing() {
  const words = state.mode === "image" ? "No image yet." : "Nothing drawn yet: draw a digit.";
  found = null;
  for (const { canvas } of shown) canvas.width = canvas.height = 1;
  for (const head of network.heads) {
    const card = cards[head.name];
    card.best.textContent = "–";
    card.rows.forEach((row) => (row.hidden = true));
    if (card.canvas) Paint.heat(card.canvas, new Float32Array(4), [2, 2]);
  }
  $("image").hidden = true;
  $("others").textContent = "";
  if ($("seen")) $("seen").parentElement.hidden = true;
  $("scale").textContent = words;
  later("hash", 300, remember);
  later("said", 500, () => ($("said").textContent = words));
}

function answer({ head, answers, predicted, map }, most) {
  const card = cards[head.name],
    order = [...answers.keys()].sort((a, b) => answers[b] - answers[a]);
  const isNumber = head.outputs === "numbers";
  card.best.textContent = isNumber ? "" : head.names[predicted];
  card.rows.forEach((row, n) => {
    const k = isNumber ? n : order[n];
    row.hidden = false;
    row.children[0].textContent = head.names[k];
    row.children[1].textContent = isNumber ? answers[k].toPrecision(4) : percent(answers[k]);
    if (!isNumber) row.children[2].style.width = `${100 * answers[k]}%`;
  });
  if (card.canvas && map)
    Paint.heat(card.canvas, map.heat, network.input, most > 0 ? Math.max(0, map.peak) / most : 0);
}

// What the other networks for such images make of this one.
async function others() {
  const of = MODELS.filter((one) => one.mode === state.mode && one.name !== state.model);
  const rest = await Promise.all(of.map((one) => load(one.name)));
  if (!pixels || !of.every((one) => one.mode === state.mode)) return;
  const read = rest.map((other, n) => {
    other.run(pixels);
    const words = other.heads.map((head) => head.names[best(other.answers(head))]);
    return `The other network (${of[n].label}) reads: ${words.join(", ")}.`;
  });
  $("others").textContent = read.join(" ");
}

function say() {
  const words = found.map(({ head, answers, predicted }) =>
    head.outputs === "numbers"
      ? `${nameOf(head)}: ${answers[predicted].toPrecision(3)}`
      : `${nameOf(head)}: ${head.names[predicted]}, ${percent(answers[predicted])}`,
  );
  $("said").textContent = words.join("; ");
}

const timers = {};
function later(name, milliseconds, work) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(work, milliseconds);
}
