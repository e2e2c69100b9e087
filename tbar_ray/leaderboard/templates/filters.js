// choices above a table: its rows that agree with every one are shown, and counted
for (const choices of document.querySelectorAll(".choices")) {
  const rows = [...document.getElementById(choices.dataset.table).tBodies[0].rows];
  const fields = [...choices.querySelectorAll("select")];
  const count = choices.querySelector("output");
  const apply = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = fields.some(field => field.value && row.dataset[field.name] !== field.value);
      shown += !row.hidden;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} cells`;
  };
  for (const field of fields) field.addEventListener("change", apply);
  apply();
}
