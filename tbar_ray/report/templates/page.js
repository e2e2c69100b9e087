"use strict";
// click on the head of a column: sort its table; again: the other way round
const value = cell => {
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = parseFloat(text.replace(/,/g, "").replace("−", "-"));
  return Number.isNaN(number) ? text.toLowerCase() : number;
};
const before = (a, b) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
};
// the link of a row unfolds what it leads to below the row; again: folds it
const places = new Map();
const fold = below => {
  const part = below.querySelector("details");
  part.open = false;
  places.get(part).replaceWith(part);
  below.remove();
};
const unfold = link => {
  const row = link.closest("tr"), next = row.nextElementSibling;
  if (next?.className === "unfolded") return fold(next);
  const part = document.getElementById(link.hash.slice(1)), place = document.createComment("");
  places.set(part, place);
  part.replaceWith(place);
  part.open = true;
  const below = document.createElement("tr"), cell = document.createElement("td");
  below.className = "unfolded";
  cell.colSpan = row.cells.length;
  cell.append(part);
  below.append(cell);
  row.after(below);
};
const sort = head => {
  const down = head.getAttribute("aria-sort") === "ascending";
  const body = head.closest("table").tBodies[0];
  for (const below of body.querySelectorAll(".unfolded")) fold(below);
  const rows = [...body.rows].map((row, place) => ({ row, place, key: value(row.cells[head.cellIndex]) }));
  const empty = entry => entry.key === "" || entry.key === "–";
  rows.sort((a, b) => empty(a) - empty(b) || (down ? -1 : 1) * before(a.key, b.key) || a.place - b.place);
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.map(entry => entry.row));
};
for (const head of document.querySelectorAll("table.sortable th")) {
  head.tabIndex = 0;
  head.title ||= "sort by this column";
  head.addEventListener("click", () => sort(head));
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(head); });
}
for (const link of document.querySelectorAll("a.unfolds")) {
  link.addEventListener("click", event => { event.preventDefault(); unfold(link); });
}
// a link to a folded part opens it
const open = () => { document.getElementById(location.hash.slice(1))?.setAttribute("open", ""); };
addEventListener("hashchange", open);
open();
