"use strict";

/* The list of queries, or of hubs: only the rows in view are in the page. */

const ROW_HEIGHT = 62;
const SPARE = 6;

class VirtualList {
  constructor(host, inner, render, choose) {
    this.host = host;
    this.inner = inner;
    this.render = render;
    this.choose = choose;
    this.items = [];
    this.place = -1;
    this.nodes = new Map();
    host.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint()).observe(host);
  }

  set(items, place) {
    this.items = items;
    this.place = place;
    this.inner.style.height = `${items.length * ROW_HEIGHT}px`;
    this.refresh();
  }

  refresh() {
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
    this.paint();
  }

  paint() {
    const { scrollTop, clientHeight } = this.host;
    const first = Math.max(0, Math.floor(scrollTop / ROW_HEIGHT) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / ROW_HEIGHT) + SPARE);
    for (const [place, node] of this.nodes) {
      if (place < first || place >= last) {
        node.remove();
        this.nodes.delete(place);
      }
    }
    for (let place = first; place < last; place++) if (!this.nodes.has(place)) this._add(place);
    this.host.toggleAttribute("data-empty", this.items.length === 0);
    const current = this.nodes.get(this.place);
    if (current) this.host.setAttribute("aria-activedescendant", current.id);
    else this.host.removeAttribute("aria-activedescendant");
  }

  _add(place) {
    const node = this.render(this.items[place]);
    node.id = `item-${place}`;
    node.classList.add("item");
    node.style.transform = `translateY(${place * ROW_HEIGHT}px)`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-setsize", this.items.length);
    node.setAttribute("aria-posinset", place + 1);
    node.setAttribute("aria-selected", place === this.place);
    node.addEventListener("click", () => this.choose(place));
    this.nodes.set(place, node);
    this.inner.append(node);
  }

  /** Move the selection and bring it into view. */
  select(place) {
    const before = this.nodes.get(this.place);
    if (before) before.setAttribute("aria-selected", "false");
    this.place = place;
    const top = place * ROW_HEIGHT;
    const { scrollTop, clientHeight } = this.host;
    if (place >= 0 && top < scrollTop) this.host.scrollTop = top;
    else if (place >= 0 && top + ROW_HEIGHT > scrollTop + clientHeight) {
      this.host.scrollTop = top + ROW_HEIGHT - clientHeight;
    }
    this.paint();
    const now = this.nodes.get(place);
    if (now) now.setAttribute("aria-selected", "true");
  }
}

/** Scores of a row on one line: the reference as a long tick, negatives as short ones. */
function strip(data, row, range) {
  const wide = 84;
  const x = (score) => Math.min(Math.max((score - range[0]) / (range[1] - range[0]), 0), 1) * (wide - 4) + 2;
  const node = svg("svg", { class: "strip", width: wide, height: 14, "aria-hidden": "true" });
  node.append(svg("line", { x1: 0, x2: wide, y1: 7, y2: 7, class: "base" }));
  const reference = Math.fround(data.reference[row]);
  for (let i = data.negativeOffsets[row]; i < data.negativeOffsets[row + 1]; i++) {
    const score = data.negativeScore[i];
    if (score !== score) continue;
    const above = score > reference ? " above" : "";
    node.append(svg("line", { x1: x(score), x2: x(score), y1: 3, y2: 11, class: `negative${above}` }));
  }
  if (reference === reference) {
    node.append(svg("line", { x1: x(reference), x2: x(reference), y1: 0, y2: 14, class: "positive" }));
  }
  return node;
}
