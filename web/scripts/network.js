"use strict";
// Computes a network that `cnnlab.interpret.export` wrote, image by image, and the gradient of a
// score with respect to any of its values. Maps are Float32Array in the order height, width,
// channels. Every kind of step has two functions: `forward` fills its output, `backward` adds to
// the gradients of its inputs.
(function (root) {
  // Elementwise functions: value and derivative.
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const clip = (x, low, high) => Math.min(Math.max(x, low), high);
  const SELU = [1.0507009873554805, 1.6732632423543772];
  const gauss = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  function erf(x) {
    // Its series near 0, its continued fraction beyond: more digits than float32 has.
    const a = Math.abs(x);
    if (a > 6) return Math.sign(x);
    if (a < 2.5) {
      let term = x,
        sum = x;
      for (let n = 1; n < 60; n++) sum += (term *= (-x * x) / n) / (2 * n + 1);
      return (2 / Math.sqrt(Math.PI)) * sum;
    }
    let fraction = 0;
    for (let n = 40; n > 0; n--) fraction = n / 2 / (a + fraction);
    return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI)));
  }
  const normal = (x) => (1 + erf(x / Math.SQRT2)) / 2;
  const silu = [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))];
  const hardsilu = [
    (x) => (x * clip(x + 3, 0, 6)) / 6,
    (x) => (x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) / 6),
  ];
  const ELEMENTWISE = {
    elu: [(x) => (x > 0 ? x : Math.expm1(x)), (x) => (x > 0 ? 1 : Math.exp(x))],
    selu: [
      (x) => SELU[0] * (x > 0 ? x : SELU[1] * Math.expm1(x)),
      (x) => SELU[0] * (x > 0 ? 1 : SELU[1] * Math.exp(x)),
    ],
    gelu: [(x) => x * normal(x), (x) => normal(x) + x * gauss(x)],
    silu,
    swish: silu,
    hardsilu,
    hardswish: hardsilu,
    sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
    tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
    softplus: [softplus, sigmoid],
    softsign: [(x) => x / (1 + Math.abs(x)), (x) => (1 + Math.abs(x)) ** -2],
    exponential: [Math.exp, Math.exp],
    hardsigmoid: [(x) => clip(x / 6 + 0.5, 0, 1), (x) => (x > -3 && x < 3 ? 1 / 6 : 0)],
  };

  function softmax(given, made, width) {
    for (let start = 0; start < given.length; start += width) {
      let most = -Infinity,
        sum = 0;
      for (let i = start; i < start + width; i++) most = Math.max(most, given[i]);
      for (let i = start; i < start + width; i++) sum += Math.exp(given[i] - most);
      for (let i = start; i < start + width; i++) made[i] = Math.exp(given[i] - most) / sum;
    }
  }

  // Calls visit(output cell, input cell, kernel cell) for all that belong together, as numbers of
  // cells (row * columns + column), and nothing for the padding.
  function slide(step, visit) {
    const [height, width] = step.shape,
      [rows, columns] = step.given[0];
    const [high, wide] = step.window,
      [down, across] = step.strides,
      [top, left] = step.before;
    const [rowStep, columnStep] = step.dilation || [1, 1];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let i = 0; i < high; i++) {
          const row = y * down - top + i * rowStep;
          if (row < 0 || row >= rows) continue;
          for (let j = 0; j < wide; j++) {
            const column = x * across - left + j * columnStep;
            if (column >= 0 && column < columns)
              visit(y * width + x, row * columns + column, i * wide + j);
          }
        }
  }

  // What of each cell is not 0, as channels and values: behind a rectifier, less than a half. In
  // fours, filled up with zeros, because sums of four at a time take half as long.
  function active(maps, channels) {
    return Array.from({ length: maps.length / channels }, (_, cell) => {
      const places = [],
        values = [];
      for (let n = 0; n < channels; n++)
        if (maps[cell * channels + n] !== 0) {
          places.push(n);
          values.push(maps[cell * channels + n]);
        }
      for (; places.length % 4; values.push(0)) places.push(0);
      return [places, values];
    });
  }

  const KINDS = {
    conv: {
      forward(step, made, [given]) {
        const {
          kernel,
          bias,
          shape: [, , k],
          given: [[, , c]],
        } = step;
        const cells = active(given, c);
        for (let i = 0; i < made.length; i++) made[i] = bias[i % k];
        slide(step, (to, from, cell) => {
          const [places, values] = cells[from],
            out = to * k;
          for (let i = 0; i < places.length; i += 4) {
            const p = (cell * c + places[i]) * k,
              q = (cell * c + places[i + 1]) * k,
              r = (cell * c + places[i + 2]) * k,
              s = (cell * c + places[i + 3]) * k;
            const a = values[i],
              b = values[i + 1],
              d = values[i + 2],
              e = values[i + 3];
            for (let n = 0; n < k; n++)
              made[out + n] +=
                a * kernel[p + n] + b * kernel[q + n] + d * kernel[r + n] + e * kernel[s + n];
          }
        });
      },
      backward(step, made, gradient, _, [into]) {
        const {
          kernel,
          shape: [, , k],
          given: [[, , c]],
        } = step;
        const cells = active(gradient, k);
        slide(step, (to, from, cell) => {
          const [places, values] = cells[to];
          for (let channel = 0; channel < c; channel++) {
            const at = (cell * c + channel) * k;
            let sum = 0;
            for (let i = 0; i < places.length; i += 4)
              sum +=
                values[i] * kernel[at + places[i]] +
                values[i + 1] * kernel[at + places[i + 1]] +
                values[i + 2] * kernel[at + places[i + 2]] +
                values[i + 3] * kernel[at + places[i + 3]];
            into[from * c + channel] += sum;
          }
        });
      },
    },
    depthwise: {
      forward(step, made, [given]) {
        const {
            kernel,
            bias,
            shape: [, , k],
            given: [[, , c]],
          } = step,
          times = k / c;
        for (let i = 0; i < made.length; i++) made[i] = bias[i % k];
        slide(step, (to, from, cell) => {
          for (let n = 0; n < k; n++)
            made[to * k + n] += given[from * c + ((n / times) | 0)] * kernel[cell * k + n];
        });
      },
      backward(step, made, gradient, _, [into]) {
        const {
            kernel,
            shape: [, , k],
            given: [[, , c]],
          } = step,
          times = k / c;
        slide(step, (to, from, cell) => {
          for (let n = 0; n < k; n++)
            into[from * c + ((n / times) | 0)] += gradient[to * k + n] * kernel[cell * k + n];
        });
      },
    },
    dense: {
      forward(step, made, [given]) {
        const {
          kernel,
          bias,
          size: [c, k],
        } = step;
        for (let row = 0; row < made.length / k; row++) {
          for (let n = 0; n < k; n++) made[row * k + n] = bias[n];
          for (let i = 0; i < c; i++) {
            const value = given[row * c + i];
            if (value !== 0)
              for (let n = 0; n < k; n++) made[row * k + n] += value * kernel[i * k + n];
          }
        }
      },
      backward(step, made, gradient, _, [into]) {
        const {
          kernel,
          size: [c, k],
        } = step;
        for (let row = 0; row < made.length / k; row++)
          for (let i = 0; i < c; i++) {
            let sum = 0;
            for (let n = 0; n < k; n++) sum += gradient[row * k + n] * kernel[i * k + n];
            into[row * c + i] += sum;
          }
      },
    },
    affine: {
      forward({ scale, shift }, made, [given]) {
        const k = scale.length;
        for (let i = 0; i < made.length; i++) made[i] = given[i] * scale[i % k] + shift[i % k];
      },
      backward({ scale }, made, gradient, _, [into]) {
        const k = scale.length;
        for (let i = 0; i < made.length; i++) into[i] += gradient[i] * scale[i % k];
      },
    },
    rectify: {
      forward({ slope, above, highest }, made, [given]) {
        const most = highest === null ? Infinity : highest;
        for (let i = 0; i < made.length; i++) {
          const x = given[i];
          made[i] = x > above || (above === 0 && x >= 0) ? Math.min(x, most) : slope * (x - above);
        }
      },
      backward({ slope, above, highest }, made, gradient, [given], [into]) {
        const most = highest === null ? Infinity : highest;
        for (let i = 0; i < made.length; i++)
          into[i] += gradient[i] * (given[i] > above ? (given[i] < most ? 1 : 0) : slope);
      },
    },
    softmax: {
      forward: (step, made, [given]) => softmax(given, made, step.shape.at(-1)),
      backward(step, made, gradient, _, [into]) {
        const width = step.shape.at(-1);
        for (let start = 0; start < made.length; start += width) {
          let sum = 0;
          for (let i = start; i < start + width; i++) sum += gradient[i] * made[i];
          for (let i = start; i < start + width; i++) into[i] += made[i] * (gradient[i] - sum);
        }
      },
    },
    pool: {
      forward(step, made, [given]) {
        const c = step.shape[2],
          isMax = step.how === "max",
          count = new Uint16Array(made.length / c);
        made.fill(isMax ? -Infinity : 0);
        slide(step, (to, from) => {
          count[to]++;
          for (let n = 0; n < c; n++) {
            const value = given[from * c + n],
              at = to * c + n;
            made[at] = isMax ? Math.max(made[at], value) : made[at] + value;
          }
        });
        if (!isMax) for (let i = 0; i < made.length; i++) made[i] /= count[(i / c) | 0];
      },
      backward(step, made, gradient, [given], [into]) {
        const c = step.shape[2],
          isMax = step.how === "max",
          count = new Uint16Array(made.length / c);
        if (!isMax) slide(step, (to) => count[to]++);
        const done = new Uint8Array(made.length); // the first of equal ones has it all
        slide(step, (to, from) => {
          for (let n = 0; n < c; n++) {
            const at = to * c + n;
            if (!isMax) into[from * c + n] += gradient[at] / count[to];
            else if (!done[at] && given[from * c + n] === made[at]) {
              into[from * c + n] += gradient[at];
              done[at] = 1;
            }
          }
        });
      },
    },
    whole: {
      forward(step, made, [given]) {
        const c = made.length,
          isMax = step.how === "max",
          cells = given.length / c;
        made.fill(isMax ? -Infinity : 0);
        for (let i = 0; i < given.length; i++)
          made[i % c] = isMax ? Math.max(made[i % c], given[i]) : made[i % c] + given[i] / cells;
      },
      backward(step, made, gradient, [given], [into]) {
        const c = made.length,
          cells = given.length / c,
          equal = new Float32Array(c);
        if (step.how === "max")
          for (let i = 0; i < given.length; i++) equal[i % c] += given[i] === made[i % c];
        for (let i = 0; i < given.length; i++) {
          const share = step.how === "max" ? (given[i] === made[i % c]) / equal[i % c] : 1 / cells;
          into[i] += gradient[i % c] * share;
        }
      },
    },
    move: {
      forward: (step, made, [given]) => moved(step, (to, from) => (made[to] = given[from])),
      backward: (step, made, gradient, _, [into]) =>
        moved(step, (to, from) => (into[from] += gradient[to])),
    },
    repeat: {
      forward: (step, made, [given]) => repeated(step, (to, from) => (made[to] = given[from])),
      backward: (step, made, gradient, _, [into]) =>
        repeated(step, (to, from) => (into[from] += gradient[to])),
    },
    reshape: {
      forward: (step, made, [given]) => made.set(given),
      backward(step, made, gradient, _, [into]) {
        for (let i = 0; i < made.length; i++) into[i] += gradient[i];
      },
    },
    concatenate: {
      forward: (step, made, given) =>
        joined(step, (to, part, from) => (made[to] = given[part][from])),
      backward: (step, made, gradient, _, into) =>
        joined(step, (to, part, from) => (into[part][from] += gradient[to])),
    },
    merge: {
      forward({ how }, made, given) {
        made.set(given[0]);
        for (const other of given.slice(1))
          for (let i = 0; i < made.length; i++) made[i] = MERGE[how](made[i], other[i]);
        if (how === "average") for (let i = 0; i < made.length; i++) made[i] /= given.length;
      },
      backward({ how }, made, gradient, given, into) {
        for (let i = 0; i < made.length; i++) {
          const values = given.map((part) => part[i]);
          const equal = values.filter((value) => value === made[i]).length;
          values.forEach((value, n) => {
            let share = 1;
            if (how === "subtract" && n) share = -1;
            if (how === "average") share = 1 / values.length;
            if (how === "multiply")
              share = values.reduce((all, v, m) => (m === n ? all : all * v), 1);
            if (how === "maximum" || how === "minimum") share = value === made[i] ? 1 / equal : 0;
            into[n][i] += gradient[i] * share;
          });
        }
      },
    },
  };
  const add = (a, b) => a + b;
  const MERGE = {
    add,
    average: add,
    subtract: (a, b) => a - b,
    multiply: (a, b) => a * b,
    maximum: Math.max,
    minimum: Math.min,
  };
  for (const [name, [value, slope]] of Object.entries(ELEMENTWISE))
    KINDS[name] = {
      forward(step, made, [given]) {
        for (let i = 0; i < made.length; i++) made[i] = value(given[i]);
      },
      backward(step, made, gradient, [given], [into]) {
        for (let i = 0; i < made.length; i++) into[i] += gradient[i] * slope(given[i]);
      },
    };

  function moved(step, visit) {
    const [height, width, c] = step.shape,
      [rows, columns] = step.given[0],
      [top, left] = step.before;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const row = y - top,
          column = x - left;
        if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
        for (let n = 0; n < c; n++)
          visit((y * width + x) * c + n, (row * columns + column) * c + n);
      }
  }
  function repeated(step, visit) {
    const [height, width, c] = step.shape,
      [, columns] = step.given[0],
      [down, across] = step.times;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let n = 0; n < c; n++)
          visit((y * width + x) * c + n, (((y / down) | 0) * columns + ((x / across) | 0)) * c + n);
  }
  function joined(step, visit) {
    const all = step.shape.at(-1),
      rows = step.shape.reduce((a, b) => a * b, 1) / all;
    let begin = 0;
    step.given.forEach((shape, part) => {
      const own = shape.at(-1);
      for (let row = 0; row < rows; row++)
        for (let n = 0; n < own; n++) visit(row * all + begin + n, part, row * own + n);
      begin += own;
    });
  }

  const size = (shape) => shape.reduce((a, b) => a * b, 1);

  class Network {
    // `model` is what `export.exported` returns.
    constructor(model) {
      Object.assign(this, { name: model.name, input: model.input, layers: model.layers });
      Object.assign(this, { heads: model.heads, range: model.range, bgr: model.bgr });
      const bytes = Uint8Array.from(atob(model.weights), (letter) => letter.charCodeAt(0));
      const numbers = new Float32Array(bytes.buffer),
        { shapes } = model;
      const part = (start, count) => numbers.subarray(start, start + count);
      this.values = shapes.map((shape) => new Float32Array(size(shape)));
      this.shapes = shapes;
      this.steps = model.steps.map((step) => {
        const shape = shapes[step.output],
          given = step.inputs.map((input) => shapes[input]);
        const made = { ...step, shape, given, ...KINDS[step.kind] };
        const k = shape.at(-1),
          c = given[0].at(-1),
          window = step.window ? size(step.window) : 0;
        if (step.kind === "conv") made.kernel = part(step.kernel, window * c * k);
        if (step.kind === "depthwise") made.kernel = part(step.kernel, window * k);
        if (step.kind === "dense") made.kernel = part(step.kernel, size(step.size));
        if ("bias" in step) made.bias = part(step.bias, k);
        for (const name of ["scale", "shift"]) if (name in step) made[name] = part(step[name], k);
        return made;
      });
      this.tables = {};
      for (const [name, layer] of Object.entries(this.layers)) {
        if (!layer.grid) continue;
        const [rows, columns] = layer.grid,
          [height, width] = this.input;
        this.tables[name] = {
          cells: part(layer.cells, rows * columns),
          down: part(layer.down, height * rows),
          across: part(layer.across, width * columns),
        };
      }
    }

    // Computes all values for an image: bytes (height * width * channels), 0..255.
    run(pixels) {
      const [low, high] = this.range,
        image = this.values[0],
        c = this.input[2];
      for (let i = 0; i < image.length; i++) {
        const from = this.bgr ? i - (i % c) + (c - 1 - (i % c)) : i;
        image[i] = low + ((high - low) * pixels[from]) / 255;
      }
      for (const step of this.steps)
        step.forward(
          step,
          this.values[step.output],
          step.inputs.map((input) => this.values[input]),
        );
    }

    // Probabilities 0..1 of a head's classes, or its numbers.
    answers(head) {
      const given = this.values[head.value];
      if (head.outputs === "numbers") return Array.from(given);
      return head.names.length > given.length ? [1 - given[0], given[0]] : Array.from(given);
    }

    score(head, target) {
      const logits = this.values[head.logits];
      return head.names.length > logits.length ? (target ? 1 : -1) * logits[0] : logits[target];
    }

    // The gradient of the score of a class with respect to the values of a layer, after `run`.
    gradient(head, target, layer) {
      const until = this.layers[layer].value,
        into = new Map();
      const of = (value) => {
        if (!into.has(value)) into.set(value, new Float32Array(this.values[value].length));
        return into.get(value);
      };
      const isPair = head.names.length > this.values[head.logits].length;
      of(head.logits)[isPair ? 0 : target] = isPair && !target ? -1 : 1;
      for (const step of [...this.steps].reverse()) {
        if (step.output === until || !into.has(step.output)) continue;
        const given = step.inputs.map((input) => this.values[input]);
        step.backward(step, this.values[step.output], of(step.output), given, step.inputs.map(of));
      }
      return of(until);
    }

    // A heatmap: {raw, the layer's cells; heat, (height * width) 0..1; peak, of raw}.
    heatmap(head, target, layer, method = "grad-cam") {
      const gradient = this.gradient(head, target, layer),
        value = this.layers[layer].value;
      const maps = this.values[value],
        k = this.shapes[value][2],
        cells = maps.length / k;
      const raw = new Float32Array(cells);
      if (method === "grad-cam") {
        const weights = new Float64Array(k);
        for (let i = 0; i < gradient.length; i++) weights[i % k] += gradient[i] / cells;
        for (let i = 0; i < maps.length; i++) raw[(i / k) | 0] += maps[i] * weights[i % k];
      } else {
        for (let i = 0; i < maps.length; i++)
          raw[(i / k) | 0] += maps[i] * Math.max(gradient[i], 0);
      }
      const heat = this.enlarged(
        raw.map((x) => Math.max(x, 0)),
        layer,
      );
      const most = heat.reduce((a, b) => Math.max(a, b), 0);
      const peak = raw.reduce((a, b) => Math.max(a, b), -Infinity);
      if (most > 0) for (let i = 0; i < heat.length; i++) heat[i] /= most;
      return { raw, heat, peak };
    }

    // A layer's cells at the size of the image, where they look.
    enlarged(raw, layer) {
      const { cells, down, across } = this.tables[layer],
        [rows, columns] = this.layers[layer].grid;
      const [height, width] = this.input;
      const middle = new Float32Array(height * columns),
        heat = new Float32Array(height * width);
      for (let y = 0; y < height; y++)
        for (let row = 0; row < rows; row++) {
          const share = down[y * rows + row];
          if (share === 0) continue;
          for (let column = 0; column < columns; column++)
            middle[y * columns + column] += share * raw[cells[row * columns + column]];
        }
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let column = 0; column < columns; column++)
            sum += middle[y * columns + column] * across[x * columns + column];
          heat[y * width + x] = sum;
        }
      return heat;
    }
  }

  root.Network = Network;
})(typeof window === "undefined" ? module.exports : window);
