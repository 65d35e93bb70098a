"use strict";
// Drawing digits, and moving lines by their handles.

function handles() {
  const svg = $("handles");
  svg.setAttribute("viewBox", state.mode === "lines" ? `0 0 ${SIDE} ${SIDE}` : "0 0 1 1");
  svg.replaceChildren();
  if (state.mode === "digits") {
    for (const stroke of state.strokes)
      drawnIn(svg, "polyline", {
        points: stroke.length > 1 ? stroke.join(" ") : `${stroke[0]} ${stroke[0]}`,
        fill: "none",
        stroke: "#fff",
        "stroke-width": 0.08,
        "stroke-linecap": "round",
        "stroke-linejoin": "round",
      });
    if (pen) drawnIn(svg, "circle", { class: "pen", cx: pen[0], cy: pen[1], r: 0.03 });
    return;
  }
  if (state.mode !== "lines") return;
  const line = fitted(state.line),
    [cos, sin] = Lines.direction(line.angle);
  const end = [line.x + (cos * line.length) / 2, line.y - (sin * line.length) / 2];
  const away = line.width / 2 + 1.2,
    sides = [1, -1].map((sign) => [line.x - sign * sin * away, line.y - sign * cos * away]);
  const inside = ([x, y]) => Math.min(x, y, SIDE - x, SIDE - y) > 0.5;
  const side = sides.find(inside) || sides[0];
  const put = (name, [cx, cy], r) => {
    drawnIn(svg, "circle", { class: name, cx, cy, r });
    places[name] = [cx, cy];
  };
  put("middle", [line.x, line.y], 0.55);
  put("side", side, 0.45);
  put("end", end, 0.55);
}

const REACH = 2.5; // pixels of the image: so near a handle, a press takes it
const places = {}; // of the handles
let held = null, // a stroke, or the name of a handle
  pointer = null, // a second finger changes nothing
  offset = [0, 0]; // from the pointer to what it holds
function point(event) {
  const box = $("stage").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}
function press(event) {
  if (state.mode === "image" || held || event.button) return;
  event.preventDefault();
  $("stage").focus({ preventScroll: true });
  $("stage").setPointerCapture(event.pointerId);
  pointer = event.pointerId;
  const [x, y] = point(event);
  if (state.mode === "digits") {
    pen = null;
    held = begun([round3(x), round3(y)]);
  } else {
    const from = ([a, b]) => Math.hypot(a - SIDE * x, b - SIDE * y);
    const [nearest] = Object.keys(places).sort((a, b) => from(places[a]) - from(places[b]));
    held = from(places[nearest]) < REACH ? nearest : "middle";
    offset =
      held === "middle" ? [places.middle[0] - SIDE * x, places.middle[1] - SIDE * y] : [0, 0];
  }
  drag(event);
}
// Begins a stroke, which takes the place of an example; returns it.
function begun(at) {
  if (state.example !== null) state.strokes = [];
  state.example = null;
  state.strokes.push([at]);
  return state.strokes.at(-1);
}
const round3 = (value) => Math.round(1000 * clip(value, 0, 1)) / 1000;
function drag(event) {
  if (!held || event.pointerId !== pointer) return;
  if (state.mode === "digits") {
    for (const each of event.getCoalescedEvents ? event.getCoalescedEvents() : [])
      held.push(point(each).map(round3));
    held.push(point(event).map(round3));
  } else {
    const [x, y] = point(event).map((part, k) => part * SIDE + offset[k]),
      line = state.line;
    if (held === "middle") Object.assign(line, { x, y });
    else {
      const dx = x - line.x,
        dy = line.y - y,
        away = Math.hypot(dx, dy);
      const turned = (Math.atan2(dy, dx) * 180) / Math.PI;
      if (held === "end") {
        line.length = clip(2 * away, ...LIMITS.length);
        line.angle = (Math.round(10 * ((turned + 360) % 180)) / 10) % 180;
      } else line.width = clip(2 * (away - 1.2), ...LIMITS.width);
    }
    moved(line);
    sliders();
  }
  update();
}
function release(event) {
  if (event.pointerId === pointer) held = null;
}

// By keyboard: arrows move the line by a pixel, or a pen, which the space bar sets down and lifts.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let pen = null, // where it is, once a key has been pressed
  writing = null; // the stroke that it adds to
function nudge(event) {
  const [dx, dy] = ARROWS[event.key] || [0, 0];
  if (state.mode === "image" || !(dx || dy || (event.key === " " && state.mode === "digits")))
    return;
  event.preventDefault();
  if (state.mode === "digits") write(dx, dy);
  else {
    moved({ ...state.line, x: state.line.x + dx, y: state.line.y + dy });
    sliders();
  }
  update();
}
function write(dx, dy) {
  pen ||= [0.5, 0.5];
  if (!state.strokes.includes(writing)) writing = null; // taken back
  if (dx || dy) {
    pen = [round3(pen[0] + dx / 20), round3(pen[1] + dy / 20)];
    if (writing) writing.push(pen);
  } else if (writing) writing = null;
  else writing = begun(pen);
}
