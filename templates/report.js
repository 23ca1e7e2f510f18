"use strict";
// What a report can do besides being read. Without it the page is complete; it asks for nothing and writes only text.

const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const button = (text, act, properties = {}) => {
  const element = made("button", { type: "button", textContent: text, ...properties });
  element.addEventListener("click", act);
  return element;
};
const voice = made("p", { className: "voice" });
voice.setAttribute("role", "status");
document.body.append(voice);
const say = (text) => { voice.textContent = text; };

// ---- Tables that sort ----

const NUMBER = /^[−-]?[\d,]*\.?\d+(?:e[−-]?\d+)?(?=$|\s)/;
const NOTHING = new Set(["", "—", "not finite"]);
const words = new Intl.Collator("en", { numeric: true });

const valueOf = (text) => {
  const found = NUMBER.exec(text);
  return found ? Number(found[0].replaceAll("−", "-").replaceAll(",", "")) : NaN;
};

// Negative where `a` comes first in ascending order; what has no value is not compared here.
const orderOf = (texts) => {
  const areNumbers = texts.every((text) => NOTHING.has(text) || !Number.isNaN(valueOf(text)));
  return areNumbers ? (a, b) => valueOf(a) - valueOf(b) : words.compare;
};

const sorted = (rows, column, direction) => {
  const textOf = (row) => row.cells[column].textContent.trim();
  const compare = orderOf(rows.map(textOf));
  return rows.toSorted((a, b) => {
    const [left, right] = [textOf(a), textOf(b)];
    const missing = NOTHING.has(left) - NOTHING.has(right);  // last, whichever way the rest is turned
    return missing || (NOTHING.has(left) ? 0 : direction * compare(left, right));
  });
};

const FEWEST_TO_SORT = 5;

const sortable = (table) => {
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => row.className !== "total");
  const total = [...body.rows].filter((row) => row.className === "total");
  const headings = [...table.tHead.rows].at(-1).cells;
  const isGrid = [...headings].slice(1).every((heading) => !Number.isNaN(valueOf(heading.textContent)));
  if (rows.length < FEWEST_TO_SORT || isGrid) return;
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  for (const [column, heading] of [...headings].entries()) {
    const name = heading.textContent.trim();
    if (!name || new Set(rows.map((row) => row.cells[column].textContent)).size < 2) continue;
    const press = () => {
      const order = next[heading.getAttribute("aria-sort") ?? "none"];
      for (const each of headings) each.removeAttribute("aria-sort");
      if (order !== "none") heading.setAttribute("aria-sort", order);
      const inOrder = order === "none" ? rows : sorted(rows, column, order === "ascending" ? 1 : -1);
      body.append(...inOrder, ...total);
      say(order === "none" ? "In the report's own order" : `Sorted by ${name}, ${order}`);
    };
    heading.replaceChildren(button(name, press, { className: "sort" }));
  }
  const more = table.parentElement.nextElementSibling;
  if (more?.classList.contains("more")) more.append(" Only the rows shown here are sorted.");
};

// ---- Copying ----

const DIGEST = /^(?:sha256:)?[0-9a-f]{32,128}$/;

const copyable = (element) => {
  const text = element.textContent.trim();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
      mark.textContent = "copied";
      setTimeout(() => { mark.textContent = "copy"; }, 1500);
    } catch {  // not allowed to: then it is at least selected
      getSelection().selectAllChildren(element);
      say("Selected: copy it with your keyboard");
    }
  };
  const mark = button("copy", copy, { className: "copy" });
  mark.setAttribute("aria-label", `Copy ${text.length > 60 ? `${text.slice(0, 12)}…` : text}`);
  element.after(" ", mark);
};

const digestIn = (cell) => {
  if (!DIGEST.test(cell.textContent.trim())) return;
  const code = made("code", { textContent: cell.textContent.trim() });
  cell.replaceChildren(code);
};

// ---- Gates with other limits ----

// As `gate` judges: a side on which nothing is known is infinite, and a limit itself is inside.
const ruling = ({ low, high, floor, ceiling }) => {
  const [least, most] = [low ?? -Infinity, high ?? Infinity];
  const [from, to] = [floor ?? -Infinity, ceiling ?? Infinity];
  if (least > to || most < from) return "fail";
  return from <= least && most <= to ? "pass" : "undecided";
};

const STEPS = 400;
const WOULD = { pass: "it would pass", fail: "it would fail", undecided: "it would be undecided" };

const adjustable = (data) => {
  const judged = JSON.parse(data.textContent);
  const gate = data.closest(".gate").querySelector(".name").textContent;
  const sliders = [["floor", "at least"], ["ceiling", "at most"]]
    .filter(([side]) => judged[side] !== null)
    .map(([side, phrase]) => slider(judged, side, phrase, gate));
  data.after(made("details", { className: "what-if" }, made("summary", { textContent: "What if the limit were another?" }), ...sliders));
};

const slider = (judged, side, phrase, gate) => {
  const { least, most, [side]: limit } = judged;
  const home = Math.round(STEPS * (limit - least) / (most - least));
  const input = made("input", { type: "range", min: 0, max: STEPS, step: 1, value: home });
  const told = made("output");
  // What is judged is what is shown: the same digits, and at home the limit of the policy itself.
  const judge = () => {
    const there = least + (most - least) * input.valueAsNumber / STEPS;
    const at = input.valueAsNumber === home ? limit : Number(there.toPrecision(4));
    const word = ruling({ ...judged, [side]: at });
    told.textContent = `${phrase} ${String(at).replaceAll("-", "−")} ${judged.unit}`.trim() + `: ${WOULD[word]}`;
    told.className = word;
    input.setAttribute("aria-valuetext", told.textContent);
  };
  const back = button("Back", () => { input.value = home; judge(); });
  back.setAttribute("aria-label", `Back to the limit of the policy: ${gate}, ${phrase}`);
  input.setAttribute("aria-label", `What if: ${gate}, ${phrase}`);
  input.addEventListener("input", judge);
  judge();
  return made("p", {}, input, told, back);
};

// A region that can be scrolled is reached with Tab; one that has nothing to scroll is no stop on the way.
const regions = new ResizeObserver((changed) => {
  for (const { target } of changed) {
    const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    if (scrolls) target.tabIndex = 0;
    else if (target !== document.activeElement) target.removeAttribute("tabindex");
  }
});

for (const region of document.querySelectorAll(".scroll")) regions.observe(region);
for (const table of document.querySelectorAll("table")) sortable(table);
for (const cell of document.querySelectorAll("dd")) digestIn(cell);
for (const code of document.querySelectorAll("dd code")) copyable(code);
for (const data of document.querySelectorAll("script.what-if")) adjustable(data);
