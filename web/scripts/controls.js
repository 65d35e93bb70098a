"use strict";
// Sliders, buttons and choices.

const HINTS = {
  lines:
    "Drag the white dot to move the line, the blue one to stretch and turn it, the orange one to widen it.",
  digits: "Draw a digit, or choose an example.",
  image: "",
};
const KEYS = {
  lines: " Arrow keys move it, too.",
  digits: " Arrow keys move a pen, the space bar sets it down and lifts it.",
  image: "",
};
const ranges = {};
function range(name, [least, most, step], get, set, unit = "") {
  const input = make("input", {
    type: "range",
    id: `range-${name}`,
    min: least,
    max: most,
    step,
    oninput: () => {
      set(Number(input.value));
      sliders();
      update();
    },
  });
  const output = make("output", { htmlFor: input.id });
  ranges[name] = () => {
    input.value = get();
    output.textContent = `${Math.round(10 * get()) / 10}${unit}`;
  };
  return [make("label", { htmlFor: input.id }, name), input, output];
}
const sliders = () => Object.values(ranges).forEach((renew) => renew());
const button = (text, onclick) => make("button", { type: "button", onclick }, text);

function controls() {
  for (const name of Object.keys(ranges)) delete ranges[name];
  const { line } = state,
    place = $("controls"),
    parts = [];
  const change = (name) => (value) => moved({ ...line, [name]: value });
  const gray = [
    ...range(
      "noise",
      [0, 20, 0.5],
      () => state.noise,
      (value) => (state.noise = value),
    ),
    ...range(
      "background",
      [0, 32, 1],
      () => state.ground,
      (value) => (state.ground = value),
    ),
  ];
  if (state.mode === "lines") {
    const rows = ["length", "width", "angle"].flatMap((name) =>
      range(name, LIMITS[name], () => line[name], change(name), name === "angle" ? "°" : ""),
    );
    for (const name of ["x", "y"])
      rows.push(...range(name, [0, SIDE, 0.1], () => line[name], change(name)));
    const color = make("input", {
      type: "color",
      id: "color",
      value: state.color,
      oninput: () => {
        state.color = color.value;
        update();
      },
    });
    const pick = (value) =>
      button(value === "#ff0000" ? "red" : "blue", () => {
        state.color = color.value = value;
        update();
      });
    parts.push(make("div", { className: "rows" }, ...rows, ...gray));
    parts.push(
      make(
        "div",
        { className: "buttons" },
        make("label", { htmlFor: "color" }, "color"),
        color,
        pick("#ff0000"),
        pick("#0000ff"),
        button("Reset", () => (location.hash = `mode=lines&model=${state.model}`)),
      ),
    );
    parts.push(
      make(
        "p",
        { className: "note" },
        "Sizes are in pixels, x from the left and y from the top; noise and background are on a scale " +
          "of 0 to 255. The network has learned 7 (short) and 15 (long), 1 (thin) and 3 (thick), and " +
          "only red and blue. Raise the background, and see what the other network makes of it.",
      ),
    );
  }
  if (state.mode === "digits") {
    const seen = make("canvas", { id: "seen", ariaLabel: "what the network sees", role: "img" });
    parts.push(
      make("figure", { hidden: true }, seen, make("figcaption", {}, "what the network sees")),
    );
    const prepared = make("input", {
      type: "checkbox",
      id: "prepared",
      checked: state.prepared,
      onchange: () => {
        state.prepared = prepared.checked;
        update();
      },
    });
    parts.push(
      make(
        "div",
        { className: "buttons" },
        button("Undo", () => {
          state.strokes.pop();
          state.example = null;
          update();
        }),
        button("Clear", () => {
          state.strokes = [];
          state.example = null;
          update();
        }),
        make("label", { className: "check" }, prepared, "scale and center like MNIST"),
      ),
    );
    parts.push(make("div", { className: "rows" }, ...gray));
  }
  if (state.mode === "image") {
    const file = make("input", {
      type: "file",
      id: "file",
      accept: "image/*",
      onchange: () => file.files[0] && read(file.files[0]),
    });
    parts.push(
      make("p", {}, make("label", { htmlFor: "file" }, "Choose an image, or drop one: "), file),
    );
  }
  place.replaceChildren(...parts);
  $("hint").replaceChildren(
    HINTS[state.mode],
    make("span", { className: "keys" }, KEYS[state.mode]),
  );
  const more =
    state.mode === "digits" && window.EXAMPLES ? examples() : make("div", { id: "circle" });
  $("more").replaceChildren(more);
  sliders();
}

function examples() {
  const buttons = EXAMPLES.map(({ pixels: of, label, read: as }, n) => {
    const canvas = make("canvas");
    Paint.image(canvas, of, [SIDE, SIDE, 1]);
    const words = as === label ? `a ${label}` : `a ${label} that is read as ${as}`;
    return make(
      "button",
      {
        type: "button",
        title: words,
        ariaLabel: words,
        onclick: () => {
          state.example = n;
          state.strokes = [];
          pen = null;
          update();
        },
      },
      canvas,
    );
  });
  EXAMPLES.forEach(({ label, read: as }, n) =>
    buttons[n].classList.toggle("misread", as !== label),
  );
  return make(
    "div",
    {},
    make("p", {}, "MNIST digits that the network has not seen; it misreads those with a frame:"),
    make("div", { className: "examples" }, ...buttons),
  );
}

async function read(file) {
  const [height, width, c] = network.input,
    canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  try {
    const bitmap = await createImageBitmap(file);
    context.drawImage(bitmap, 0, 0, width, height);
  } catch {
    $("scale").textContent = `${file.name} is not an image that the browser can read.`;
    return;
  }
  const rgba = context.getImageData(0, 0, width, height).data;
  state.picture = new Uint8Array(height * width * c);
  for (let i = 0; i < height * width; i++) {
    const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
    if (c === 1) state.picture[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else state.picture.set([r, g, b], 3 * i);
  }
  update();
}

function select(label, options, value, set) {
  const choice = make("select", {
    id: `select-${label}`,
    onchange: () => {
      set(choice.value);
      update();
    },
  });
  for (const [key, text] of options) choice.append(new Option(text, key, false, key === value));
  return make("label", {}, label, choice);
}

function tools() {
  const head = headOf(state.head);
  const targets = [["", "the predicted one"], ...head.names.map((name, k) => [String(k), name])];
  const maps = Object.keys(network.tables).map((name) => [name, name]);
  const place = $("explained");
  if (!maps.length) return place.replaceChildren();
  const heat = make("input", {
    type: "checkbox",
    id: "heat",
    checked: state.heat,
    onchange: () => {
      state.heat = heat.checked;
      update();
    },
  });
  place.replaceChildren(
    make(
      "div",
      { className: "tools" },
      select(
        head.outputs === "numbers" ? "number" : "class",
        targets,
        String(state.target ?? ""),
        (value) => (state.target = value === "" ? null : Number(value)),
      ),
      select(
        "method",
        [
          ["grad-cam", "Grad-CAM"],
          ["layercam", "LayerCAM"],
        ],
        state.method,
        (value) => (state.method = value),
      ),
      select(
        "layer",
        [
          ["", `${(state.layer ? null : shownLayer(head)) || head.layer || "none"} (default)`],
          ...maps,
        ],
        state.layer || "",
        (value) => (state.layer = value || null),
      ),
      make("label", { className: "check" }, heat, "heatmap"),
      button("Is the map right?", check),
    ),
  );
}

function answers() {
  cards = {};
  const list = network.heads.map((head) => {
    const count = Math.min(SHOWN, head.names.length),
      isNumber = head.outputs === "numbers";
    const rows = Array.from({ length: count }, () =>
      make(
        "span",
        { className: "bar" },
        make("span"),
        make("span"),
        ...(isNumber ? [] : [make("i")]),
      ),
    );
    const canvas = head.layer ? make("canvas", { ariaHidden: "true" }) : null,
      bold = make("b");
    cards[head.name] = { best: bold, rows, canvas };
    const inside = [
      make("span", { className: "name" }, nameOf(head), bold),
      ...(canvas ? [canvas] : []),
      make("span", { className: "bars" }, ...rows),
    ];
    return make(
      "button",
      {
        type: "button",
        className: "head",
        "data-head": head.name,
        onclick: () => {
          choose(head.name);
          update();
        },
      },
      ...inside,
    );
  });
  $("answers").replaceChildren(...list);
  choose(state.head);
}
function choose(name) {
  if (name !== state.head) state.target = null;
  state.head = name;
  for (const card of document.querySelectorAll(".head"))
    card.setAttribute("aria-pressed", card.dataset.head === name);
  tools();
}
