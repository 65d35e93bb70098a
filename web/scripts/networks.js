"use strict";
// The networks of the page, loaded when they are needed.

const networks = {};
function load(name) {
  networks[name] ||= new Promise((resolve, reject) => {
    const ready = () => resolve(new Network(LOADED[name]));
    if (window.LOADED && LOADED[name]) return ready();
    const script = make("script", { src: `models/${name}.js`, onload: ready, onerror: reject });
    document.head.append(script);
  });
  return networks[name];
}
const entry = () => MODELS.find((one) => one.name === state.model);
const headOf = (name) => network.heads.find((head) => head.name === name);
const shownLayer = (head) => {
  const own = Object.hasOwn(network.tables, entry().layer) ? entry().layer : head.layer;
  return Object.hasOwn(network.tables, state.layer) ? state.layer : own;
};
const nameOf = (head) => (network.heads.length > 1 ? head.name : "answer");
const best = (answers) => answers.reduce((top, value, k) => (value > answers[top] ? k : top), 0);
