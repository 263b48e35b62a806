"use strict";

/* Wiring: the state, its effects on the page, and the keyboard. */

/** Share of the range of scores within which a negative counts as near its positive. */
const NEAR = 0.02;

class App {
  constructor(data, key) {
    this.data = data;
    this.model = new Model(data);
    this.margins = new Margins(data);
    this.words = new Words(data.documentTexts);
    this.verdicts = new VerdictBook(data, key);
    this.first = startState(data);
    this.state = stateFromHash(location.hash, data, this.model.chips);
    this.hubLimit = Math.max(10, this.model.n / 200);
    this.charts = new Charts(data, this.margins, this);
    this.range = this.charts.negative.range;
    this.mined = this.margins.effect(null, this.state.kind);
    this.rows = new Int32Array(0);
    this.list = new VirtualList(byId("list"), byId("list-inner"), (item) => this._item(item), (place) => this._chosen(place));
    this.detail = new Detail(byId("detail"), this);
    this._controls();
    this._keys();
    this.filter();
    this._describe();
    // The first search need not wait for the lowercase texts.
    (window.requestIdleCallback || setTimeout)(() => this.model.lower());
    window.addEventListener("hashchange", () => this._fromHash());
  }

  /* Effects of the state. */

  filter() {
    const { state } = this;
    this.rows = this.model.visible(state);
    const narrowed = this.rows.length < this.model.n;
    this.judged = this.verdicts.queries();
    if (!this.rows.includes(state.row)) state.row = this.rows.length ? this.rows[0] : -1;
    this._showList();
    this.charts.show(narrowed ? this.rows : null, state);
    this.detail.show(state.row);
    this._showControls();
    this._showEffect();
    this._link();
  }

  _showList() {
    const { state } = this;
    const hubs = state.tab === "hubs";
    const items = hubs ? this.model.hubs : this.rows;
    const place = hubs ? Math.max(this.model.hubs.indexOf(state.hub), 0) : this.rows.indexOf(state.row);
    this.list.set(items, place);
    this.list.select(place);
    byId("count").textContent = hubs
      ? `${number(items.length)} documents are negatives of two or more rows`
      : `${number(items.length)} of ${number(this.model.n)} rows`;
  }

  go(row) {
    if (row === this.state.row) return;
    this.state.row = row;
    this.detail.show(row);
    this.charts.mark(this.state);
    this._link();
  }

  margin(value) {
    this.state.margin = value;
    this.charts.mark(this.state);
    this.detail.dim();
    this._showEffect();
    this._link();
  }

  brush(side, value) {
    this.state[side] = value;
    this.later(() => this.filter());
  }

  /** Run once before the next frame, however often it is asked for. */
  later(action) {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      action();
    });
  }

  _showEffect() {
    const { state, data } = this;
    const effect = state.margin === null ? this.mined : this.margins.effect(state.margin, state.kind);
    byId("margin-name").textContent = state.margin === null ? "As mined" : `Margin ${signed(state.margin, 3)}`;
    const entry = (name, value, change, title) => {
      const node = el("div", { title }, el("dt", {}, name), el("dd", {}, value));
      if (state.margin !== null && change) node.lastChild.append(el("span", { class: "change" }, change));
      return node;
    };
    const delta = (name, digits, scale = 1) => {
      const change = (effect[name] - this.mined[name]) * scale;
      return Math.abs(change) < 0.5 * 10 ** -digits ? "" : `${change > 0 ? "+" : ""}${signed(change, digits)}`;
    };
    byId("effect").replaceChildren(
      entry("negatives per query", effect.perQuery.toFixed(2), delta("perQuery", 2), "Mean number of negatives"),
      entry("hardness", score(effect.hardness), delta("hardness", 4), "Mean score of the negatives"),
      entry("short queries", percent(effect.short), delta("short", 1, 100), "Queries with too few negatives"),
      entry("unknown", percent(effect.unknown), delta("unknown", 1, 100), "Queries of which too few candidates are stored to decide"),
    );
    for (const kind of ["relative", "absolute"]) {
      byId(`kind-${kind}`).setAttribute("aria-pressed", String(state.kind === kind));
    }
    const notes = [];
    if (!data.hasPool) notes.push("Only the negatives are stored: a row without them all is unknown. Save the pool to see replacements.");
    if (data.hasPool && data.sampling && data.sampling !== "top") notes.push("Figures are those of the policy \u201ctop\u201d.");
    if (data.options.range_min) notes.push(`The first ${data.options.range_min} ranks are not in the pool.`);
    byId("effect-note").textContent = notes.join(" ");
  }

  _describe() {
    const { data } = this;
    const parts = [`${number(this.model.n)} rows`, `${number(data.negativeDocument.length)} negatives`];
    if (data.nDocuments) parts.push(`${number(data.nDocuments)} documents`);
    if (data.metric) parts.push(data.metric);
    for (const [name, value] of Object.entries(data.options)) {
      if (!["num_negatives", "num_random"].includes(name) && value !== 0) parts.push(`${plain(name)} ${value}`);
    }
    if (data.sampling) parts.push(`policy ${data.sampling}`);
    byId("summary").textContent = parts.join(" \u00b7 ");
  }

  /* The list. */

  _item(item) {
    return this.state.tab === "hubs" ? this._hubItem(item) : this._rowItem(item);
  }

  _rowItem(row) {
    const { data, model } = this;
    const excess = model.excess[row];
    const meta = el("div", { class: "item-meta" }, strip(data, row, this.range));
    if (Number.isFinite(excess)) {
      const kind = excess > 0 ? "above" : excess > -NEAR * (this.range[1] - this.range[0]) ? "near" : "below";
      meta.append(el("span", { class: `excess ${kind}` }, `${Math.abs(excess).toFixed(4)} ${excess > 0 ? "above" : "below"}`));
    } else meta.append(el("span", { class: "excess" }, "no reference"));
    if (data.reason[row]) meta.append(el("span", { class: "tag" }, `${model.count(row)} of ${data.width}`));
    if (model.relevant[row]) meta.append(el("span", { class: "tag warn" }, "judged relevant"));
    if (data.hasAgainst && model.change[row] > 0) {
      meta.append(el("span", { class: "tag" }, `${Math.round(model.change[row] * 100)}% changed`));
    }
    if (model.hub[row] >= this.hubLimit) meta.append(el("span", { class: "tag" }, `hub ${number(model.hub[row])}`));
    const verdicts = this.judged.get(data.query[row]);
    if (verdicts) meta.append(el("span", { class: "tag done" }, `${verdicts} judged`));
    return el("div", {}, el("div", { class: "item-text" }, model.queryText(row)), meta);
  }

  _hubItem(documentNumber) {
    const { data, model } = this;
    const uses = model.uses[documentNumber];
    const bar = el("span", { class: "hub-bar" });
    bar.style.width = `${Math.max(2, (84 * uses) / model.uses[model.hubs[0]])}px`;
    return el(
      "div",
      {},
      el("div", { class: "item-text" }, data.documentTexts[documentNumber]),
      el(
        "div",
        { class: "item-meta" },
        el("span", { class: "hub-track" }, bar),
        el("span", {}, `negative of ${number(uses)} rows`),
        el("span", { class: "id" }, data.documentIds[documentNumber]),
      ),
    );
  }

  _chosen(place) {
    if (this.state.tab === "hubs") {
      this.state.hub = this.model.hubs[place];
      this.state.tab = "queries";
      this.filter();
      return;
    }
    this.list.select(place);
    this.go(this.rows[place]);
  }

  move(step) {
    const { list } = this;
    if (!list.items.length) return;
    const place = Math.min(Math.max(list.place + step, 0), list.items.length - 1);
    list.select(place);
    if (this.state.tab === "queries") this.go(this.rows[place]);
  }

  /* Verdicts. */

  judge(card, word) {
    const { entry } = card;
    if (entry.document < 0 || this.state.row < 0) return;
    const query = this.data.query[this.state.row];
    this.verdicts.set(query, entry.document, word);
    this.judged = this.verdicts.queries();
    this.detail.marked(entry.document, word);
    this.list.refresh();
    this._showVerdicts();
    this.say(word ? `${word}: ${this.data.documentIds[entry.document]}` : "verdict taken back");
  }

  _showVerdicts() {
    const n = this.verdicts.entries.size;
    const button = byId("export");
    button.disabled = n === 0;
    button.textContent = n ? `Export ${number(n)} verdict${n === 1 ? "" : "s"}` : "Export verdicts";
    button.title = this.verdicts.kept ? "" : "The browser keeps nothing for this page: export before you close it.";
    button.classList.toggle("warn", n > 0 && !this.verdicts.kept);
  }

  say(text) {
    byId("say").textContent = text;
  }

  /* Controls. */

  _controls() {
    const { state, data } = this;
    for (const [name, label] of Object.entries(SORTS)) {
      if (name !== "changed" || data.hasAgainst) byId("sort").append(el("option", { value: name }, label));
    }
    byId("sort").addEventListener("change", (event) => this.set("sort", event.target.value));
    byId("find").addEventListener("input", (event) => {
      this.state.find = event.target.value.trim();
      this.later(() => this.filter());
    });
    for (const tab of ["queries", "hubs"]) byId(`tab-${tab}`).addEventListener("click", () => this.set("tab", tab));
    for (const kind of ["relative", "absolute"]) byId(`kind-${kind}`).addEventListener("click", () => this._setKind(kind));
    for (const chip of this.model.chips) {
      const button = el(
        "button",
        { type: "button", class: `chip ${chip.kind}`, "aria-pressed": "false" },
        chip.label,
        el("span", { class: "n" }, number(chip.count)),
      );
      button.addEventListener("click", () => {
        if (!this.state.chips.delete(chip.name)) this.state.chips.add(chip.name);
        this.filter();
      });
      chip.button = button;
      byId("chips").append(button);
    }
    this.clear = el("button", { type: "button", class: "chip clear" }, "");
    this.clear.addEventListener("click", () => this.set("hub", -1));
    byId("judge").value = this.verdicts.judge;
    byId("judge").addEventListener("change", (event) => this.verdicts.setJudge(event.target.value));
    byId("export").addEventListener("click", () => this.verdicts.download());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    this._showVerdicts();
    if (state.find) byId("find").value = state.find;
  }

  set(name, value) {
    this.state[name] = value;
    this.filter();
  }

  /** Change what margins are measured in; the margin starts again, as its number means another thing. */
  _setKind(kind) {
    if (kind === this.state.kind) return;
    this.state.kind = kind;
    this.state.margin = null;
    this.detail.dim();
    this.charts.show(this.rows.length < this.model.n ? this.rows : null, this.state);
    this._showEffect();
    this._link();
  }

  _showControls() {
    const { state } = this;
    byId("sort").value = state.sort;
    for (const tab of ["queries", "hubs"]) byId(`tab-${tab}`).setAttribute("aria-pressed", String(state.tab === tab));
    for (const chip of this.model.chips) chip.button.setAttribute("aria-pressed", String(state.chips.has(chip.name)));
    if (state.hub >= 0) {
      this.clear.textContent = `with ${this.data.documentIds[state.hub]} \u00d7`;
      byId("chips").prepend(this.clear);
    } else this.clear.remove();
  }

  /* Address. */

  _link() {
    clearTimeout(this.linking);
    this.linking = setTimeout(() => {
      const hash = stateToHash(this.state, this.first);
      this.written = hash;
      try {
        history.replaceState(null, "", `#${hash}`);
      } catch {
        location.replace(`#${hash}`);
      }
    }, 150);
  }

  _fromHash() {
    if (location.hash.replace(/^#/, "") === this.written) return;
    const chips = this.model.chips;
    this.state = stateFromHash(location.hash, this.data, chips);
    byId("find").value = this.state.find;
    this.filter();
  }

  /* Keyboard. */

  _keys() {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
      const typing = event.target.closest("input, select");
      if (event.key === "Escape") {
        this._escape(typing);
        return;
      }
      if (typing) {
        if (event.key === "Enter" && typing.id === "find") byId("list").focus();
        return;
      }
      const action = this._action(event);
      if (!action) return;
      event.preventDefault();
      action();
    });
  }

  _action(event) {
    const inDetail = byId("detail").contains(document.activeElement);
    const card = inDetail ? document.activeElement.closest(".card") : null;
    const page = Math.max(1, Math.floor(byId("list").clientHeight / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const step = steps[event.key];
      if (!inDetail) return () => this.move(step);
      return Math.abs(step) === 1 ? () => this.detail.focus(this.detail.place + step) : null;
    }
    if (event.key in WORDS) return card ? () => this.judge(card, WORDS[event.key]) : null;
    return {
      x: card ? () => this.judge(card, null) : null,
      ArrowRight: () => this._open(),
      ArrowLeft: () => byId("list").focus(),
      Enter: event.target === byId("list") ? () => this._open() : null,
      "]": () => this._step(1),
      "[": () => this._step(-1),
      r: () => this.detail.toggleRejected(),
      "/": () => byId("find").select(),
      m: () => byId("chart-margin").focus(),
      h: () => this.set("tab", this.state.tab === "hubs" ? "queries" : "hubs"),
      e: () => this.verdicts.entries.size && this.verdicts.download(),
      t: () => byId("theme").click(),
      "?": () => byId("keys").showModal(),
    }[event.key];
  }

  _open() {
    if (this.state.tab === "hubs") {
      this._chosen(this.list.place);
      byId("list").focus();
    } else this.detail.focus(Math.max(this.detail.place, 0));
  }

  _step(step) {
    if (this.state.tab === "hubs") return;
    const inDetail = byId("detail").contains(document.activeElement);
    this.move(step);
    if (inDetail) this.detail.focus(0);
  }

  _escape(typing) {
    const { state } = this;
    if (state.find) {
      state.find = byId("find").value = "";
    } else {
      state.chips.clear();
      state.hub = -1;
      state.positive = state.negative = null;
    }
    if (typing) byId("list").focus();
    this.filter();
  }
}

async function start() {
  setTheme();
  await parsed();
  const node = byId("data");
  try {
    const data = await readData(node.textContent.trim());
    node.remove();
    window.app = new App(data, document.documentElement.dataset.key);
    performance.mark("negmine-ready");
    document.documentElement.dataset.ready = "true";
    byId("list").focus({ preventScroll: true });
  } catch (error) {
    byId("summary").textContent = `The data of this page could not be read: ${error.message}`;
    throw error;
  }
}

start();
