"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const colour = (text, style) => text.replace(/^var\((--\w+)\)$/, (_, name) => style.getPropertyValue(name).trim() || "#888");
  function themed(value, style) {
    if (typeof value === "string") return colour(value, style);
    if (Array.isArray(value)) return value.map((item) => themed(item, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v, style)]));
    return value;
  }
  function draw(element) {
    const spec = themed(specs[element.dataset.figure], getComputedStyle(root));
    if (element.clientWidth < 560) {
      spec.layout.font.size = 11;
      spec.layout.margin = { l: 56, r: 6, t: 8, b: 60 };
      for (const [name, axis] of Object.entries(spec.layout)) if (name.startsWith("xaxis")) axis.nticks = 6;
    }
    const config = { responsive: true, displayModeBar: false };
    Plotly.react(element, spec.data, spec.layout, config);
  }
  const plots = [...document.querySelectorAll(".plot")];
  const drawAll = () => plots.forEach(draw);
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { root.classList.add("light"); drawAll(); });
  addEventListener("afterprint", () => { root.classList.remove("light"); drawAll(); });

  for (const tabs of document.querySelectorAll(".tabs")) {
    tabs.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      for (const other of tabs.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      const plot = document.getElementById(tabs.dataset.plot);
      plot.dataset.figure = button.dataset.figure;
      draw(plot);
    });
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head) return;
      const column = head.cellIndex;
      const rising = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
      if (!rising) rows.reverse();
      body.append(...rows);
    });
  }

  const filters = document.getElementById("filters");
  if (filters) {
    const rows = [...document.getElementById("decisions").tBodies[0].rows];
    const count = document.getElementById("shown");
    const apply = () => {
      const text = filters.elements.text.value.toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const keep = (!filters.elements.moved.checked || row.dataset.state !== "same")
          && (!filters.elements.site.value || row.dataset.site === filters.elements.site.value)
          && (!filters.elements.kind.value || row.dataset.kind === filters.elements.kind.value)
          && row.textContent.toLowerCase().includes(text);
        row.hidden = !keep;
        shown += keep;
      }
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    filters.addEventListener("input", apply);
    filters.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }
})();
