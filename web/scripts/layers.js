"use strict";
// Layer by layer: the first filters, and every activation that is in sight.

const watcher = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      const layer = shown.find((one) => one.canvas === target);
      if (!layer) continue;
      layer.visible = isIntersecting;
      paintLayer(layer);
    }
  },
  { rootMargin: "200px" },
);

function paintLayer(layer) {
  if (!layer.visible || !layer.old || !pixels) return; // none, of an empty pad
  layer.old = false;
  const [low, high] = Paint.channels(
    layer.canvas,
    network.values[layer.value],
    layer.shape,
    layer.columns,
    layer.border,
  );
  const ends = [low, high].map((end) => end.toPrecision(2).replace("-", "−"));
  layer.title.textContent = `${layer.words}, ${ends.join(" to ")}`;
}

function layers() {
  watcher.disconnect();
  shown = [];
  const list = $("layers"),
    sections = [];
  const first = network.steps.find((step) => step.kind === "conv");
  if (first) {
    const canvas = make("canvas", {}),
      count = first.shape[2],
      c = first.given[0][2];
    Paint.kernels(canvas, first.kernel, [...first.window, c, count], Math.min(8, count));
    canvas.setAttribute("aria-label", "the weights of the first convolution's filters");
    const words = `the ${count} filters of the first convolution, ${first.window.join(" × ")} weights`;
    sections.push(make("div", { className: "layer" }, make("h3", {}, words), canvas));
  }
  for (const [name, { value, kind }] of Object.entries(network.layers)) {
    const shape = network.shapes[value],
      isMap = shape.length === 3;
    const of = isMap ? shape : [1, 1, shape.reduce((a, b) => a * b)],
      count = of[2];
    if (!isMap && (count > 2048 || count < 2)) continue; // the answers show those of one unit
    const wide = isMap ? Math.max(8, Math.round(Math.sqrt(2 * count))) : Math.min(count, 64);
    const columns = Math.min(count, isMap ? wide : 64),
      border = isMap ? 1 : 0;
    const what = isMap
      ? `${count} map${count > 1 ? "s" : ""} of ${shape[0]} × ${shape[1]}`
      : `${count} units`;
    const title = make("h3", {}),
      canvas = make("canvas", { role: "img" });
    canvas.setAttribute("aria-label", `activations of ${name}`);
    shown.push({
      value,
      shape: of,
      columns,
      border,
      title,
      canvas,
      words: `${name} (${kind}): ${what}`,
    });
    title.textContent = shown.at(-1).words;
    sections.push(make("div", { className: "layer" }, title, canvas));
  }
  list.replaceChildren(...sections);
  shown.forEach((layer) => watcher.observe(layer.canvas));
}
