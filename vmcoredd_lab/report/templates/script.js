for (const log of document.querySelectorAll("[data-log]")) {
  const rows = [...log.querySelectorAll("tbody tr")], find = log.querySelector("input[type=search]"), count = log.querySelector(".count");
  const boxes = [...log.querySelectorAll("input[type=checkbox]")];
  const show = () => {
    const text = find.value.toLowerCase(), levels = new Set(boxes.filter((b) => b.checked).map((b) => b.value));
    let n = 0;
    for (const row of rows) {
      const hit = levels.has(row.dataset.level) && row.textContent.toLowerCase().includes(text);
      row.hidden = !hit;
      n += hit;
    }
    count.textContent = n === rows.length ? `${n} entries` : `${n} of ${rows.length} entries`;
  };
  find.addEventListener("input", show);
  boxes.forEach((b) => b.addEventListener("change", show));
  const box = log.querySelector(".tall");
  box.scrollTop = box.scrollHeight;
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
document.documentElement.dataset.ready = "yes";
