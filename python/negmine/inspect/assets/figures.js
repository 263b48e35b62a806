"use strict";

/* Histograms: all rows in gray, the rows of the list in color, the current row as ticks, and the margin as a handle. */

const BINS = 56;
const W = 360;
const H = 96;
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Range of values without the outer half percent, so that one outlier does not flatten a chart. */
function rangeOf(values) {
  const step = Math.max(1, Math.floor(values.length / 100000));
  const finite = values.filter((value, i) => i % step === 0 && Number.isFinite(value)).sort();
  if (!finite.length) return [0, 1];
  const low = finite[Math.floor(0.005 * (finite.length - 1))];
  const high = finite[Math.ceil(0.995 * (finite.length - 1))];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

class Chart {
  constructor(host, title, range, values) {
    this.host = host;
    this.title = title;
    this.range = range;
    this.values = values;
    this.all = this._counts(null);
    this.host.replaceChildren(
      el("figcaption", {}, el("span", { class: "label" }, title), (this.note = el("span", { class: "muted small" }))),
      (this.plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" })),
      el(
        "div",
        { class: "axis" },
        ...[0, 0.5, 1].map((share) => el("span", {}, signed(range[0] + share * (range[1] - range[0]), 2))),
      ),
    );
    this.back = svg("path", { class: "bars all" });
    this.front = svg("path", { class: "bars some" });
    this.over = svg("g", {});
    this.plot.append(this.back, this.front, this.over);
    this.peak = Math.max(1, ...this.all);
    this.back.setAttribute("d", this._path(this.all));
  }

  bin(value) {
    const [low, high] = this.range;
    const place = Math.floor(((value - low) / (high - low)) * BINS);
    return Math.min(Math.max(place, 0), BINS - 1);
  }

  x(value) {
    const [low, high] = this.range;
    return Math.min(Math.max((value - low) / (high - low), 0), 1) * W;
  }

  value(x) {
    const [low, high] = this.range;
    return low + x * (high - low);
  }

  _counts(rows) {
    const counts = new Int32Array(BINS);
    this.values(rows, (value) => {
      if (value >= this.range[0] && value <= this.range[1]) counts[this.bin(value)]++;
    });
    return counts;
  }

  _path(counts) {
    // A square root keeps small bars visible next to a large peak.
    const height = (count) => Math.sqrt(count / this.peak) * (H - 6);
    let path = "";
    const wide = W / BINS;
    for (let i = 0; i < BINS; i++) {
      if (!counts[i]) continue;
      const tall = Math.max(height(counts[i]), 1);
      path += `M${(i * wide + 0.5).toFixed(1)} ${H}v${(-tall).toFixed(1)}h${(wide - 1).toFixed(1)}v${tall.toFixed(1)}z`;
    }
    return path;
  }

  show(rows) {
    this.front.setAttribute("d", this._path(rows ? this._counts(rows) : this.all));
  }

  overlay(...nodes) {
    this.over.replaceChildren(...nodes);
  }

  tick(value, kind) {
    const x = this.x(value);
    return svg("line", { x1: x, x2: x, y1: H - 14, y2: H, class: `tick ${kind}` });
  }
}

class Charts {
  constructor(data, margins, actions) {
    this.data = data;
    this.margins = margins;
    this.actions = actions;
    const ranges = ["positive", "negative", "candidate"].filter((side) => data[`${side}Score`].length);
    const ends = ranges.map((side) => rangeOf(data[`${side}Score`]));
    const range = ends.length ? [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))] : [0, 1];
    this.positive = new Chart(byId("chart-positive"), "Positives", range, this._scores("positive"));
    this.negative = new Chart(byId("chart-negative"), "Negatives", range, this._scores("negative"));
    this.kinds = {};
    for (const side of ["positive", "negative"]) this._brush(this[side], side);
    this._dragMargin();
  }

  _scores(side) {
    const offsets = this.data[`${side}Offsets`];
    const scores = this.data[`${side}Score`];
    return (rows, use) => {
      if (!rows) for (const score of scores) use(score);
      else for (const row of rows) for (let i = offsets[row]; i < offsets[row + 1]; i++) use(scores[i]);
    };
  }

  /** Histogram of the distances of the stored candidates to their reference; made once per kind of margin. */
  margin(kind) {
    if (this.kinds.shown === kind) return this.kinds[kind];
    const { candidateOffsets, candidateScore } = this.data;
    const values = (rows, use) => {
      const n = rows ? rows.length : this.margins.n;
      for (let k = 0; k < n; k++) {
        const row = rows ? rows[k] : k;
        for (let i = candidateOffsets[row]; i < candidateOffsets[row + 1]; i++) {
          use(this.margins.distance(row, candidateScore[i], kind));
        }
      }
    };
    if (!this[`range_${kind}`]) {
      const sample = [];
      const step = Math.max(1, Math.floor(this.margins.n / 4000));
      for (let row = 0; row < this.margins.n; row += step) values([row], (value) => sample.push(value));
      const [low, high] = rangeOf(Float32Array.from(sample));
      const end = Math.max(high, 1e-3);
      this[`range_${kind}`] = [Math.max(Math.min(low, 0), -end / 2), end];
    }
    this.kinds[kind] = new Chart(byId("chart-margin"), "Margin", this[`range_${kind}`], values);
    this.kinds.shown = kind;
    return this.kinds[kind];
  }

  show(rows, state) {
    for (const chart of [this.positive, this.negative, this.margin(state.kind)]) chart.show(rows);
    this.mark(state);
  }

  /** Draw what changes with the current row and the margin. */
  mark(state) {
    const { data } = this;
    const row = state.row;
    for (const side of ["positive", "negative"]) {
      const chart = this[side];
      const nodes = [];
      const range = state[side];
      if (range) {
        const x = chart.x(range[0]);
        nodes.push(svg("rect", { x, y: 0, width: Math.max(chart.x(range[1]) - x, 1), height: H, class: "band" }));
      }
      if (row >= 0) {
        const offsets = data[`${side}Offsets`];
        for (let i = offsets[row]; i < offsets[row + 1]; i++) {
          const score = data[`${side}Score`][i];
          if (score === score) nodes.push(chart.tick(score, side));
        }
      }
      chart.overlay(...nodes);
      chart.note.textContent = range ? `${signed(range[0], 3)} to ${signed(range[1], 3)}` : "";
      chart.host.setAttribute("aria-label", `${chart.title}: histogram of scores. ${chart.note.textContent || "No range"}`);
    }
    this._markMargin(state);
  }

  _markMargin(state) {
    const { data, margins } = this;
    const chart = this.margin(state.kind);
    const nodes = [];
    const zero = chart.x(0);
    nodes.push(svg("line", { x1: zero, x2: zero, y1: 0, y2: H, class: "zero" }));
    if (state.margin !== null) {
      const x = chart.x(state.margin);
      nodes.push(svg("rect", { x: 0, y: 0, width: x, height: H, class: "rejected" }));
      nodes.push(svg("line", { x1: x, x2: x, y1: 0, y2: H, class: "handle" }));
    }
    if (state.row >= 0) {
      for (let i = data.negativeOffsets[state.row]; i < data.negativeOffsets[state.row + 1]; i++) {
        const distance = margins.distance(state.row, data.negativeScore[i], state.kind);
        if (distance === distance) nodes.push(chart.tick(distance, "negative"));
      }
    }
    chart.overlay(...nodes);
    chart.note.textContent = state.margin === null ? "drag to try one" : `at ${signed(state.margin, 3)}`;
    const host = chart.host;
    host.setAttribute("role", "slider");
    host.setAttribute("tabindex", "0");
    host.setAttribute("aria-label", chart.title);
    host.setAttribute("aria-valuemin", chart.range[0].toFixed(4));
    host.setAttribute("aria-valuemax", chart.range[1].toFixed(4));
    host.setAttribute("aria-valuenow", (state.margin ?? 0).toFixed(4));
    host.setAttribute("aria-valuetext", state.margin === null ? "as mined" : state.margin.toFixed(3));
  }

  _share(chart, event) {
    const box = chart.plot.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  }

  /** Drag over a histogram of scores to keep the rows with a score in the range; arrows move the range. */
  _brush(chart, side) {
    let from = null;
    const host = chart.host;
    host.addEventListener("pointerdown", (event) => {
      if (event.target.closest("svg") !== chart.plot) return;
      from = this._share(chart, event);
      host.setPointerCapture(event.pointerId);
    });
    host.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = this._share(chart, event);
      if (Math.abs(to - from) > 0.01) {
        this.actions.brush(side, [chart.value(Math.min(from, to)), chart.value(Math.max(from, to))]);
      }
    });
    host.addEventListener("pointerup", (event) => {
      if (from !== null && Math.abs(this._share(chart, event) - from) <= 0.01) this.actions.brush(side, null);
      from = null;
    });
    host.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const wide = chart.range[1] - chart.range[0];
      if (move) {
        let [low, high] = this.actions.state[side] || [chart.value(0.4), chart.value(0.6)];
        if (event.shiftKey) [low, high] = [low - (move * wide) / 100, high + (move * wide) / 100];
        else [low, high] = [low + (move * wide) / 50, high + (move * wide) / 50];
        if (low < high) this.actions.brush(side, [low, high]);
      } else if (event.key === "Backspace" || event.key === "Delete") this.actions.brush(side, null);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  _dragMargin() {
    const host = byId("chart-margin");
    let dragging = false;
    const move = (event) => {
      const chart = this.margin(this.actions.state.kind);
      this.actions.margin(chart.value(this._share(chart, event)));
    };
    host.addEventListener("pointerdown", (event) => {
      if (!event.target.closest("svg")) return;
      dragging = true;
      host.setPointerCapture(event.pointerId);
      move(event);
    });
    host.addEventListener("pointermove", (event) => dragging && move(event));
    host.addEventListener("pointerup", () => (dragging = false));
    host.addEventListener("dblclick", () => this.actions.margin(null));
    host.addEventListener("keydown", (event) => {
      const chart = this.margin(this.actions.state.kind);
      const [low, high] = chart.range;
      const now = this.actions.state.margin;
      const step = (high - low) / (event.shiftKey ? 20 : 200);
      const next = {
        ArrowLeft: (now ?? 0) - step,
        ArrowDown: (now ?? 0) - step,
        ArrowRight: (now ?? 0) + step,
        ArrowUp: (now ?? 0) + step,
        Home: low,
        End: high,
        Backspace: null,
        Delete: null,
      };
      if (!(event.key in next)) return;
      const value = next[event.key];
      this.actions.margin(value === null ? null : Math.min(Math.max(value, low), high));
      event.preventDefault();
      event.stopPropagation();
    });
  }
}
