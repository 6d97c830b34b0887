for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const order = head.dataset.order === "1" ? -1 : 1, table = head.closest("table"), body = table.tBodies[0];
  for (const other of table.querySelectorAll("th")) delete other.dataset.order;
  head.dataset.order = order;
  const key = row => row.cells[head.cellIndex].textContent;
  const compare = (a, b) => { const x = parseFloat(a), y = parseFloat(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y; };
  [...body.rows].sort((a, b) => order * compare(key(a), key(b))).forEach(row => body.append(row));
};
