"use strict";

/* What is derived from the data per result row, and which rows are shown in which order. */

const SORTS = {
  suspicion: "most suspicious first",
  changed: "most changed first",
  hubs: "largest hub first",
  few: "fewest negatives first",
  order: "order of the file",
};

class Model {
  constructor(data) {
    this.data = data;
    this.n = data.query.length;
    this._hubs();
    this._rows();
    this.chips = this._chips();
    this.search = null;
  }

  queryText(row) {
    return this.data.queryTexts[this.data.query[row]];
  }

  count(row) {
    return this.data.negativeOffsets[row + 1] - this.data.negativeOffsets[row];
  }

  /** Counts, per document, the rows that have it as a negative. */
  _hubs() {
    const { negativeDocument, documentIds } = this.data;
    this.uses = new Int32Array(documentIds.length);
    for (const document of negativeDocument) this.uses[document]++;
    const used = [];
    for (let i = 0; i < this.uses.length; i++) if (this.uses[i] > 1) used.push(i);
    this.hubs = used.sort((a, b) => this.uses[b] - this.uses[a] || a - b);
  }

  _rows() {
    const { data, n } = this;
    this.excess = new Float32Array(n).fill(-Infinity);
    this.hub = new Int32Array(n);
    this.change = new Float32Array(n);
    this.relevant = new Uint8Array(n);
    this.hasSource = data.sources.map(() => new Uint8Array(n));
    for (let row = 0; row < n; row++) {
      for (let i = data.negativeOffsets[row]; i < data.negativeOffsets[row + 1]; i++) {
        const excess = data.negativeScore[i] - Math.fround(data.reference[row]);
        if (excess > this.excess[row]) this.excess[row] = excess;
        this.hub[row] = Math.max(this.hub[row], this.uses[data.negativeDocument[i]]);
        this.hasSource[data.negativeSource[i]][row] = 1;
        if (data.hasGrades && data.negativeGrade[i] > 0) this.relevant[row] = 1;
      }
      if (data.hasAgainst) this.change[row] = this._changed(row);
    }
  }

  /** Share of the negatives of both runs that only one of them has; -1 where the other run lacks the query. */
  _changed(row) {
    const { data } = this;
    if (data.againstMissing[row]) return -1;
    const before = new Set(data.againstDocument.subarray(data.againstOffsets[row], data.againstOffsets[row + 1]));
    const now = data.negativeDocument.subarray(data.negativeOffsets[row], data.negativeOffsets[row + 1]);
    let same = 0;
    for (const document of now) if (before.has(document)) same++;
    const all = before.size + now.length - same;
    return all ? 1 - same / all : 0;
  }

  /** Filters with their number of rows; of the chips of one kind, a row must have one. */
  _chips() {
    const { data, n } = this;
    const chips = [];
    const add = (kind, name, label, test) => {
      let count = 0;
      for (let row = 0; row < n; row++) if (test(row)) count++;
      if (count) chips.push({ kind, name, label, test, count });
    };
    add("flag", "above", "above its positive", (row) => this.excess[row] > 0);
    if (data.hasGrades) add("flag", "judged", "judged relevant", (row) => this.relevant[row] === 1);
    if (data.hasAgainst) add("flag", "changed", "changed", (row) => this.change[row] > 0);
    data.reasons.forEach((reason, code) => {
      const label = code ? `short: ${plain(reason)}` : "full";
      add("reason", reason, label, (row) => data.reason[row] === code);
    });
    data.sources.forEach((source, code) => {
      if (code) add("source", source, `has ${source}`, (row) => this.hasSource[code][row] === 1);
    });
    return chips;
  }

  /** Lowercase copies of all texts, made once. */
  lower() {
    if (!this.search) {
      this.search = {
        queries: this.data.queryTexts.map((text) => text.toLowerCase()),
        documents: this.data.documentTexts.map((text) => text.toLowerCase()),
      };
    }
    return this.search;
  }

  /** Rows whose query, or one of whose documents, holds the text or has it as its label. */
  _found(text) {
    const { data, n } = this;
    const lower = this.lower();
    const needle = text.toLowerCase();
    const hits = (texts, ids) => {
      const found = new Uint8Array(texts.length);
      for (let i = 0; i < found.length; i++) if (texts[i].includes(needle) || ids[i] === text) found[i] = 1;
      return found;
    };
    const queries = hits(lower.queries, data.queryIds);
    const documents = hits(lower.documents, data.documentIds);
    const found = new Uint8Array(n);
    for (let row = 0; row < n; row++) found[row] = queries[data.query[row]];
    for (const side of ["positive", "negative", "rejected"]) {
      const offsets = data[`${side}Offsets`];
      if (!offsets) continue;
      const list = data[`${side}Document`];
      for (let row = 0; row < n; row++) {
        if (found[row]) continue;
        for (let i = offsets[row]; i < offsets[row + 1]; i++) {
          if (list[i] >= 0 && documents[list[i]]) {
            found[row] = 1;
            break;
          }
        }
      }
    }
    return found;
  }

  _inRange(row, side, [low, high]) {
    const scores = this.data[`${side}Score`];
    const offsets = this.data[`${side}Offsets`];
    for (let i = offsets[row]; i < offsets[row + 1]; i++) if (scores[i] >= low && scores[i] <= high) return true;
    return false;
  }

  /** Rows that all filters admit, in order. */
  visible(state) {
    const { data, n } = this;
    const found = state.find ? this._found(state.find) : null;
    const byKind = new Map();
    for (const chip of this.chips) {
      if (state.chips.has(chip.name)) byKind.set(chip.kind, [...(byKind.get(chip.kind) || []), chip]);
    }
    const groups = [...byKind.values()];
    const rows = [];
    for (let row = 0; row < n; row++) {
      if (found && !found[row]) continue;
      if (state.hub >= 0 && !this.hasNegative(row, state.hub)) continue;
      if (state.positive && !this._inRange(row, "positive", state.positive)) continue;
      if (state.negative && !this._inRange(row, "negative", state.negative)) continue;
      if (groups.every((chips) => chips.some((chip) => chip.test(row)))) rows.push(row);
    }
    const key = {
      suspicion: (row) => -this.excess[row],
      changed: (row) => -this.change[row],
      hubs: (row) => -this.hub[row],
      few: (row) => this.count(row),
      order: (row) => row,
    }[state.sort];
    const keys = new Float64Array(n);
    for (const row of rows) keys[row] = key(row);
    // Infinity minus itself is no number, so keys are compared, not subtracted.
    return Int32Array.from(rows).sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
  }

  hasNegative(row, document) {
    const { negativeDocument, negativeOffsets } = this.data;
    for (let i = negativeOffsets[row]; i < negativeOffsets[row + 1]; i++) {
      if (negativeDocument[i] === document) return true;
    }
    return false;
  }
}
