"use strict";
// Lines, digits or an image; the address that restores everything; the start.

async function start() {
  const of = MODELS.filter((one) => one.mode === state.mode);
  if (!of.some((one) => one.name === state.model)) state.model = of[0].name;
  modes();
  try {
    network = await load(state.model);
  } catch {
    $("scale").textContent = `The network ${state.model} could not be loaded.`;
    return;
  }
  Object.assign(document.body.dataset, { mode: state.mode, heads: network.heads.length });
  $("question").textContent = entry().title;
  if (!headOf(state.head))
    Object.assign(state, { head: (headOf("angle") || network.heads[0]).name, target: null });
  const { length } = headOf(state.head).names;
  if (!(state.target >= 0 && state.target < length)) state.target = null;
  if (!Object.hasOwn(network.tables, state.layer)) state.layer = null;
  controls();
  answers();
  layers();
  update();
}
function modes() {
  const names = { lines: "Lines", digits: "Digits", image: "Image" };
  const all = [...new Set(MODELS.map((one) => one.mode))];
  const tabs =
    all.length < 2
      ? []
      : all.map((mode) => {
          const tab = button(names[mode], () => {
            Object.assign(state, { mode, model: null });
            start();
          });
          tab.setAttribute("aria-current", mode === state.mode);
          return tab;
        });
  const of = MODELS.filter((one) => one.mode === state.mode);
  const choice =
    of.length < 2
      ? []
      : [
          select(
            "network",
            of.map((one) => [one.name, one.label]),
            state.model,
            (name) => {
              state.model = name;
              start();
            },
          ),
        ];
  const { activeElement } = document,
    place = [...$("modes").querySelectorAll("button, select")].indexOf(activeElement);
  $("modes").replaceChildren(...tabs, ...choice);
  if (place >= 0) $("modes").querySelectorAll("button, select")[place]?.focus(); // as before
}

function remember() {
  const { line } = state,
    packed = new URLSearchParams();
  const put = (key, value, usual) => value !== usual && value !== null && packed.set(key, value);
  put("mode", state.mode);
  put("model", state.model);
  if (state.mode === "lines") {
    packed.set("line", [line.length, line.width, line.angle, line.x, line.y].join(","));
    put("color", state.color.slice(1));
  }
  if (state.mode === "digits" && state.strokes.length)
    packed.set(
      "strokes",
      state.strokes
        .map((stroke) =>
          stroke.map((xy) => xy.map((v) => Math.round(1000 * v)).join(",")).join(";"),
        )
        .join("|"),
    );
  if (state.mode === "digits") put("example", state.example);
  put("noise", state.noise, 0);
  put("ground", state.ground, 0);
  put("prepared", state.prepared ? 1 : 0, 1);
  for (const key of ["head", "target", "layer"]) put(key, state[key]);
  put("method", state.method, "grad-cam");
  put("heat", state.heat ? 1 : 0, 1);
  history.replaceState(null, "", `#${packed}`);
}
function restore() {
  const packed = new URLSearchParams(location.hash.slice(1)),
    text = (key) => packed.get(key);
  Object.assign(state, structuredClone(usual));
  const number = (key, low, high) => {
    const value = Number(text(key));
    return text(key) !== null && value >= low && value <= high ? value : null;
  };
  if (MODELS.some((one) => one.mode === text("mode"))) state.mode = text("mode");
  for (const key of ["model", "head", "layer"]) state[key] = text(key) ?? state[key];
  const color = (text("color") ?? "").toLowerCase();
  if (/^[0-9a-f]{6}$/.test(color)) state.color = `#${color}`;
  const [length, width, angle, x, y] = (text("line") ?? "").split(",").map(Number);
  if (length > 0 && width > 0 && angle >= 0 && angle < 180 && x >= 0 && y >= 0)
    state.line = fitted({
      length: clip(length, ...LIMITS.length),
      width: clip(width, ...LIMITS.width),
      angle,
      x,
      y,
    });
  state.noise = number("noise", 0, 20) ?? 0;
  state.ground = number("ground", 0, 32) ?? 0;
  state.target = number("target", 0, 1000);
  if (!Number.isInteger(state.target)) state.target = null;
  state.heat = text("heat") !== "0";
  state.prepared = text("prepared") !== "0";
  if (text("method") === "layercam") state.method = "layercam";
  const count = window.EXAMPLES ? EXAMPLES.length - 1 : -1;
  state.example = number("example", 0, count);
  if (!Number.isInteger(state.example)) state.example = null;
  state.strokes = (text("strokes") ?? "")
    .split("|")
    .filter(Boolean)
    .map((stroke) =>
      stroke.split(";").map((xy) => xy.split(",").map((v) => clip(Number(v) / 1000 || 0, 0, 1))),
    );
}

function decoded(example) {
  const bytes = Uint8Array.from(atob(example.pixels), (letter) => letter.charCodeAt(0));
  return { ...example, pixels: bytes };
}
if (window.EXAMPLES) window.EXAMPLES = EXAMPLES.map(decoded);
const stage = $("stage");
stage.addEventListener("pointerdown", press);
stage.addEventListener("keydown", nudge);
stage.addEventListener("pointermove", drag);
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, release);
for (const kind of ["dragover", "dragleave", "drop"])
  document.addEventListener(kind, (event) => {
    if (state.mode !== "image") return;
    event.preventDefault();
    stage.classList.toggle("drop", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
  });
addEventListener("hashchange", () => {
  restore();
  start();
});
$("about").innerHTML = window.ABOUT || "";
window.explorer = {
  state,
  update: () => show(),
  get network() {
    return network;
  },
  get found() {
    return found;
  },
  get pixels() {
    return pixels;
  },
};
restore();
start();
