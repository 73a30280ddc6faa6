// Sort a table by the column whose head is clicked, or chosen with the keyboard.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const isNumber = (text) => text !== "" && !Number.isNaN(Number(text));
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        const order = isNumber(a) && isNumber(b) ? a - b : a.localeCompare(b, "en", { numeric: true });
        return rising ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
