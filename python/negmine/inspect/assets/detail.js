"use strict";

/* The right side: a query, its positives, its negatives in rank order, and what was rejected. */

class Detail {
  constructor(host, app) {
    this.host = host;
    this.app = app;
    this.cards = [];
    this.place = -1;
    this.openRejected = false;
  }

  show(row) {
    this.row = row;
    this.cards = [];
    this.place = -1;
    if (row < 0) {
      this.host.replaceChildren(el("p", { class: "empty muted" }, "No query is selected."));
      return;
    }
    const { data, words } = this.app;
    const text = this.app.model.queryText(row);
    const positives = this._list("positive");
    this.ofQuery = words.telling([text]);
    this.ofPositive = words.telling(positives.filter((entry) => entry.document >= 0).map((entry) => this._text(entry)));
    const reference = data.reference[row];
    const cap = data.cap[row];
    const facts = [
      ["query", data.queryIds[data.query[row]]],
      ["reference", score(reference)],
      ["cap", Number.isFinite(cap) ? score(cap) : "none"],
      ["negatives", `${this.app.model.count(row)} of ${data.width}`],
    ];
    if (data.reason[row]) facts.push(["short because", plain(data.reasons[data.reason[row]])]);
    const head = el(
      "header",
      { class: "question" },
      el("h2", {}, words.marked(text, new Set(), this.ofPositive)),
      el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    );
    this.host.replaceChildren(
      head,
      this._section("Positives", "positive", positives),
      this._section("Negatives", "negative", this._list("negative")),
      ...this._against(),
      this._rejected(),
      this._legend(),
    );
    this.host.scrollTop = 0;
    this.dim();
    if (this.cards.length) this.cards[0].tabIndex = 0;
  }

  _list(side) {
    const { data } = this.app;
    const offsets = data[`${side}Offsets`];
    const entries = [];
    for (let i = offsets[this.row]; i < offsets[this.row + 1]; i++) {
      entries.push({
        side,
        i,
        document: data[`${side}Document`][i],
        score: data[`${side}Score`][i],
        grade: data[`${side}Grade`] ? data[`${side}Grade`][i] : data.notJudged,
        rank: entries.length + 1,
      });
    }
    return entries;
  }

  _text(entry) {
    return this.app.data.documentTexts[entry.document];
  }

  _section(title, side, entries) {
    const list = el("div", { class: `cards ${side}`, role: "list" }, ...entries.map((entry) => this._card(entry)));
    if (!entries.length) list.append(el("p", { class: "muted small none" }, "None."));
    return el("section", {}, el("h3", {}, title, el("span", { class: "muted" }, ` ${entries.length}`)), list);
  }

  _card(entry) {
    const { data, words, verdicts } = this.app;
    const inside = entry.document >= 0;
    const name = inside ? data.documentIds[entry.document] : "outside the corpus";
    const body = el("div", { class: "body" });
    if (inside) {
      const ofPositive = entry.side === "positive" ? new Set() : this.ofPositive;
      body.append(el("p", { class: "text" }, words.marked(this._text(entry), this.ofQuery, ofPositive)));
    } else body.append(el("p", { class: "text muted" }, "This positive is outside the corpus: it has no text."));
    const meta = el("p", { class: "meta" }, el("span", { class: "id" }, name), ...this._why(entry));
    body.append(meta);
    const card = el(
      "article",
      { class: `card ${entry.side}`, role: "listitem", tabindex: "-1", "aria-label": this._spoken(entry, name) },
      el("span", { class: "rank" }, entry.side === "positive" ? "+" : entry.rank),
      body,
      this._score(entry),
    );
    if (inside) card.append(this._buttons(entry, card));
    card.entry = entry;
    card.addEventListener("focus", () => this._focused(card));
    this.cards.push(card);
    this._mark(card, inside ? verdicts.get(data.query[this.row], entry.document) : undefined);
    return card;
  }

  _spoken(entry, name) {
    return `${plain(entry.side)} ${entry.rank}, ${name}, score ${score(entry.score)}`;
  }

  /** Bar of the score with the reference as a tick, and the distance to the reference. */
  _score(entry) {
    const { data, range } = this.app;
    const share = (value) => Math.min(Math.max((value - range[0]) / (range[1] - range[0]), 0), 1) * 100;
    const reference = Math.fround(data.reference[this.row]);
    const bar = el("div", { class: "bar", "aria-hidden": "true" });
    if (entry.score === entry.score) {
      const fill = el("span", { class: "fill" });
      fill.style.width = `${share(entry.score)}%`;
      bar.append(fill);
    }
    if (reference === reference) {
      const tick = el("span", { class: "reference" });
      tick.style.left = `${share(reference)}%`;
      bar.append(tick);
    }
    const node = el("div", { class: "score" }, el("span", { class: "number" }, score(entry.score)));
    if (entry.side !== "positive" && reference === reference && entry.score === entry.score) {
      const margin = reference - entry.score;
      const word = margin < 0 ? "above" : margin > 0 ? "below" : "level";
      node.append(el("span", { class: `distance ${word}` }, `${Math.abs(margin).toFixed(4)} ${word}`));
    }
    node.append(bar);
    return node;
  }

  /** Why a document is there, in short pieces. */
  _why(entry) {
    const { data, model, margins } = this.app;
    const parts = [];
    const add = (text, kind = "") => parts.push(el("span", { class: `why ${kind}` }, text));
    if (entry.side === "negative") {
      const source = data.sources[data.negativeSource[entry.i]];
      if (source === "random") add("random draw");
      else {
        const begin = data.candidateOffsets[this.row];
        const end = data.candidateOffsets[this.row + 1];
        let place = margins.first(this.row, null, null);
        const start = place;
        while (place < end && data.candidateScore[place] > entry.score) place++;
        if (data.hasPool && end > begin) add(`kept: rank ${place - start + 1} of ${end - start} in the pool`);
        else add("kept: mined");
        const cap = data.cap[this.row];
        if (Number.isFinite(cap)) add(`${(cap - entry.score).toFixed(4)} under the cap`);
      }
      if (entry.score > Math.fround(data.reference[this.row])) add("scores above its positive", "warn");
      if (data.hasAgainst && !data.againstMissing[this.row] && !this._inOther(entry.document)) add("new in this run", "new");
      const uses = model.uses[entry.document];
      if (uses > 1) add(`negative of ${number(uses)} rows`, uses >= this.app.hubLimit ? "hub" : "");
    }
    if (entry.side === "rejected") add(`rejected: ${plain(data.rules[data.rejectedRule[entry.i]])}`, "rule");
    if (entry.side === "against") add("only in the other run", "new");
    if (entry.grade !== data.notJudged) {
      const doubtful = entry.grade > 0 && entry.side !== "positive";
      add(doubtful ? `judged relevant, grade ${entry.grade}` : `judged ${entry.grade}`, doubtful ? "warn" : "");
    }
    return parts;
  }

  _inOther(document) {
    const { againstDocument, againstOffsets } = this.app.data;
    return againstDocument.subarray(againstOffsets[this.row], againstOffsets[this.row + 1]).includes(document);
  }

  _against() {
    const { data } = this.app;
    if (!data.hasAgainst) return [];
    if (data.againstMissing[this.row]) return [el("p", { class: "muted small" }, "The other run lacks this query.")];
    const now = data.negativeDocument.subarray(data.negativeOffsets[this.row], data.negativeOffsets[this.row + 1]);
    const gone = this._list("against").filter((entry) => !now.includes(entry.document));
    return gone.length ? [this._section("Only in the other run", "against", gone)] : [];
  }

  _rejected() {
    const { data } = this.app;
    if (!data.hasRejected) {
      return el(
        "p",
        { class: "muted small note" },
        "Rejected neighbors are not in this file. Mine with ",
        el("code", {}, "keep_rejected=10"),
        " (on the command line ",
        el("code", {}, "--keep-rejected 10"),
        ") to see them here, each with the rule that rejected it.",
      );
    }
    const entries = this._list("rejected");
    if (!entries.length) return el("p", { class: "muted small note" }, "No rule rejected a document of this query.");
    const details = el(
      "details",
      { class: "rejected-list" },
      el("summary", {}, `Rejected neighbors`, el("span", { class: "muted" }, ` ${entries.length}`)),
    );
    const fill = () => {
      if (details.querySelector(".cards")) return;
      details.append(el("div", { class: "cards rejected", role: "list" }, ...entries.map((entry) => this._card(entry))));
    };
    details.open = this.openRejected;
    if (details.open) fill();
    details.addEventListener("toggle", () => {
      this.openRejected = details.open;
      if (details.open) fill();
    });
    this.fillRejected = fill;
    return details;
  }

  toggleRejected() {
    const details = this.host.querySelector("details");
    if (!details) return;
    details.open = !details.open;
    this.openRejected = details.open;
    if (details.open) this.fillRejected();
  }

  _legend() {
    const cut = this.app.data.cutAt;
    return el(
      "p",
      { class: "muted small legend" },
      el("mark", { class: "shared query" }, "word"),
      " shared with the query, ",
      el("mark", { class: "shared positive" }, "word"),
      " shared with a positive.",
      cut ? ` Texts are cut after ${number(cut)} characters.` : "",
    );
  }

  _buttons(entry, card) {
    const group = el("div", { class: "verdicts", role: "group", "aria-label": "Verdict" });
    for (const [key, word] of Object.entries(WORDS)) {
      const button = el(
        "button",
        { type: "button", tabindex: "-1", "data-word": word, "aria-pressed": "false", title: `${word} (${key})` },
        el("kbd", {}, key),
        ` ${word}`,
      );
      // The button takes no focus: the card would open, and move the button away from the pointer.
      button.addEventListener("mousedown", (event) => event.preventDefault());
      button.addEventListener("click", () => {
        const pressed = button.getAttribute("aria-pressed") === "true";
        this.app.judge(card, pressed ? null : word);
      });
      group.append(button);
    }
    return group;
  }

  _mark(card, word) {
    if (word) card.dataset.verdict = word;
    else delete card.dataset.verdict;
    for (const button of card.querySelectorAll("button[data-word]")) {
      button.setAttribute("aria-pressed", String(button.dataset.word === word));
    }
  }

  /** Show a verdict on every card of the document. */
  marked(document, word) {
    for (const card of this.shownCards()) if (card.entry.document === document) this._mark(card, word);
  }

  /** Gray out the mined negatives that the current margin would reject. */
  dim() {
    const { data, margins, state } = this.app;
    for (const card of this.cards) {
      const { entry } = card;
      if (entry.side !== "negative" || data.sources[data.negativeSource[entry.i]] === "random") continue;
      card.classList.toggle("out", state.margin !== null && entry.score > margins.cap(this.row, state.margin, state.kind));
    }
  }

  shownCards() {
    return this.cards.filter((card) => !card.closest("details:not([open])"));
  }

  _focused(card) {
    for (const other of this.cards) other.tabIndex = other === card ? 0 : -1;
    this.place = this.shownCards().indexOf(card);
  }

  focus(place) {
    const cards = this.shownCards();
    if (!cards.length) return;
    const card = cards[Math.min(Math.max(place, 0), cards.length - 1)];
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}
