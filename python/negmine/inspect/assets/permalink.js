"use strict";

/* The state of the page in its address, behind the #, so that a view can be passed on. */

function startState(data) {
  return {
    tab: "queries",
    sort: data.hasAgainst ? "changed" : "suspicion",
    find: "",
    chips: new Set(),
    hub: -1,
    row: -1,
    positive: null,
    negative: null,
    margin: null,
    kind: data.options.absolute_margin !== undefined && data.options.relative_margin === undefined ? "absolute" : "relative",
  };
}

function stateToHash(state, first) {
  const parts = new URLSearchParams();
  for (const name of ["tab", "sort", "find", "kind"]) if (state[name] !== first[name]) parts.set(name, state[name]);
  if (state.chips.size) parts.set("chips", [...state.chips].join(","));
  if (state.hub >= 0) parts.set("hub", state.hub);
  if (state.row >= 0) parts.set("row", state.row);
  if (state.margin !== null) parts.set("margin", Number(state.margin.toFixed(6)));
  for (const name of ["positive", "negative"]) {
    if (state[name]) parts.set(name, state[name].map((x) => x.toFixed(4)).join("_"));
  }
  return parts.toString();
}

function stateFromHash(hash, data, chips) {
  const state = startState(data);
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const integer = (name, end) => {
    const value = Number(parts.get(name) ?? NaN);
    return Number.isInteger(value) && value >= 0 && value < end ? value : -1;
  };
  if (parts.get("tab") === "hubs") state.tab = "hubs";
  if (Object.keys(SORTS).includes(parts.get("sort")) && (parts.get("sort") !== "changed" || data.hasAgainst)) state.sort = parts.get("sort");
  if (["relative", "absolute"].includes(parts.get("kind"))) state.kind = parts.get("kind");
  state.find = parts.get("find") || "";
  const known = new Set(chips.map((chip) => chip.name));
  for (const name of (parts.get("chips") || "").split(",")) if (known.has(name)) state.chips.add(name);
  state.hub = integer("hub", data.documentIds.length);
  state.row = integer("row", data.query.length);
  if (parts.has("margin") && Number.isFinite(Number(parts.get("margin")))) state.margin = Number(parts.get("margin"));
  for (const name of ["positive", "negative"]) {
    const range = (parts.get(name) || "").split("_").map(Number);
    if (parts.get(name) && range.length === 2 && range.every(Number.isFinite)) state[name] = range;
  }
  return state;
}
