"use strict";
// What the page knows, and small helpers that all its scripts use.

const $ = (id) => document.getElementById(id);
const SIDE = 28,
  SHOWN = 5,
  DRAWS = 20,
  SHARE = 0.08;
const LIMITS = { length: [2, 26, 0.1], width: [0.5, 8, 0.1], angle: [0, 179.9, 0.1] };
const state = {
  mode: MODELS[0].mode,
  line: { length: 15, width: 3, angle: 30, x: 14, y: 14 },
  color: "#ff0000",
  noise: 0,
  ground: 0,
  strokes: [],
  prepared: true,
  example: null,
  picture: null,
  model: null,
  head: null,
  target: null,
  layer: null,
  method: "grad-cam",
  heat: true, // is it laid over the image?
};
const usual = structuredClone(state);
let network,
  pixels,
  found,
  cards = {},
  shown = [],
  waiting = false;

const clip = (x, low, high) => Math.min(Math.max(x, low), high);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function make(kind, options = {}, ...inside) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(options))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  element.append(...inside);
  return element;
}
function drawnIn(svg, kind, options) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(options)) element.setAttribute(name, value);
  svg.append(element);
  return element;
}
