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
const SHOWN = 300;
for (const part of document.querySelectorAll("[data-registers]")) {
  const all = JSON.parse(part.querySelector("script").textContent).split("\n").map((line) => line.split("\t"));
  const body = part.querySelector("tbody"), cited = [...body.children];
  const find = part.querySelector("input"), count = part.querySelector(".count"), every = count.textContent;
  const cell = (text, kind) => {
    const made = document.createElement("td");
    made.textContent = text;
    made.className = kind;
    return made;
  };
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = all.filter((row) => words.every((word) => row.some((text) => text.toLowerCase().includes(word))));
    const made = hits.slice(0, SHOWN).map(([name, address, value]) => {
      const row = document.createElement("tr");
      row.append(cell(name, "mono"), cell(address, "num mono"), cell(value, "num mono"));
      return row;
    });
    body.replaceChildren(...(words.length ? made : cited));
    count.textContent = words.length ? `${hits.length} of ${every}${hits.length > SHOWN ? `, the first ${SHOWN} are shown` : ""}` : every;
  });
}
const unfold = (place) => {
  for (let part = place; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']"), place = link && document.getElementById(link.hash.slice(1));
  if (!place) return;
  unfold(place);
  if (!link.dataset.find) return;
  const find = place.parentElement.querySelector(`[data-registers="${link.hash.split("-").pop()}"] input`);
  find.value = link.dataset.find;
  find.dispatchEvent(new Event("input"));
});
if (location.hash) unfold(document.getElementById(location.hash.slice(1)));
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.excerpts, .quiet)").forEach((d) => (d.open = true)));
document.documentElement.dataset.ready = "yes";
