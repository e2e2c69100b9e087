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
const sort = head => {
  const down = head.getAttribute("aria-sort") === "ascending";
  const body = head.closest("table").tBodies[0];
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
// a link to a folded part opens it
const open = () => { document.getElementById(location.hash.slice(1))?.setAttribute("open", ""); };
addEventListener("hashchange", open);
open();
