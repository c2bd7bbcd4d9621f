"use strict";
// The page is complete without this script, which adds: themes, tooltips, legends that hide and show,
// keyboard steps through the points of a chart, zoom, sorting, copying, and open folds in print.
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  // --- theme
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const theme = make("button", { type: "button", className: "theme" });
  const showTheme = () => { theme.textContent = isDark() ? "Light mode" : "Dark mode"; };
  try {
    const kept = localStorage.getItem("theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* a page without storage begins with the theme of the system */ }
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* see above */ }
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  document.querySelector(".page-header").append(theme);
  showTheme();

  // --- contents: folded where they would fill the screen, and the place of the reader
  const contents = document.querySelector(".contents details");
  if (contents && matchMedia("(max-width: 69.99rem)").matches) contents.open = false;
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    const seen = entries.find((entry) => entry.isIntersecting);
    if (!seen) return;
    links.forEach((link, anchor) =>
      anchor === seen.target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));
  }, { rootMargin: "0px 0px -70% 0px" });
  all("main h2, main h3").forEach((heading) => links.has(heading.id) && watcher.observe(heading));

  // --- tooltips of terms and of marks in charts
  const tip = make("div", { className: "tip", id: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.querySelector("main").append(tip);
  let owner = null;
  let closing = 0;
  const textOf = (target) =>
    target.dataset.tip || document.getElementById(target.getAttribute("aria-describedby"))?.textContent;
  const place = () => {
    const point = owner.querySelector(".point, .bar, .target") || owner;
    const { left, width: across, top, bottom } = point.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const middle = left + across / 2 - width / 2;
    tip.style.left = `${Math.max(8, Math.min(middle, root.clientWidth - width - 8))}px`;
    tip.style.top = `${top - height - 8 > 0 ? top - height - 8 : bottom + 8}px`;
  };
  const stay = () => { clearTimeout(closing); closing = 0; };
  const show = (target) => {
    stay();
    if (owner === target) return;
    owner = target;
    tip.textContent = textOf(target);
    tip.hidden = false;
    place();
  };
  const hide = () => { stay(); owner = null; tip.hidden = true; };
  const hideSoon = () => { closing ||= setTimeout(hide, 120); };
  // The points of several curves may overlap: the nearest one within reach of the pointer counts.
  const nearest = (field, { clientX, clientY }) => all(".mark", field).reduce((best, mark) => {
    const { left, top, width, height } = mark.querySelector(".target").getBoundingClientRect();
    const distance = width ? Math.hypot(left + width / 2 - clientX, top + height / 2 - clientY) : Infinity;
    return distance < best.distance ? { mark, distance } : best;
  }, { mark: null, distance: 30 }).mark;
  const targetOf = (event) => {
    const field = event.target.closest?.(".field");
    return field && "clientX" in event ? nearest(field, event) : event.target.closest?.(".term, [data-tip]");
  };
  document.addEventListener("pointermove", (event) => {
    const target = targetOf(event);
    if (target) show(target);
    else if (event.target.closest?.(".tip")) stay();
    else if (owner && document.activeElement !== owner) hideSoon();
  });
  document.addEventListener("focusin", (event) => (targetOf(event) ? show(targetOf(event)) : hide()));
  document.addEventListener("focusout", hideSoon);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", () => {
    if (owner?.matches(":focus") || (owner?.closest(".field") || owner)?.matches(":hover")) place();
    else hide();
  }, { passive: true });
  // A finger cannot hover: the first tap shows the definition, and the link in the glossary stays for the keyboard.
  document.addEventListener("click", (event) => {
    const term = event.target.closest?.(".term");
    if (term && matchMedia("(hover: none)").matches) { event.preventDefault(); show(term); }
  });

  // --- charts: one tab stop each, arrow keys step through its marks
  all(".chart").forEach((chart) => {
    const marks = () => all(".mark", chart).filter((mark) => !mark.closest(".off"));
    marks().forEach((mark, k) => mark.setAttribute("tabindex", k ? "-1" : "0"));
    chart.addEventListener("keydown", (event) => {
      const shown = marks();
      const at = shown.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (at < 0 || !step) return;
      event.preventDefault();
      const next = shown[(at + step + shown.length) % shown.length];
      shown[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
    const keys = all(".key[data-key]", chart).map((key) => {
      const button = make("button", { type: "button", className: key.className });
      button.dataset.key = key.dataset.key;
      button.style.cssText = key.style.cssText;
      button.append(...key.childNodes);
      button.setAttribute("aria-pressed", "true");
      key.replaceWith(button);
      return button;
    });
    keys.forEach((key) => key.addEventListener("click", () => {
      const hidden = key.getAttribute("aria-pressed") === "true";
      const same = (other) => other.dataset.key === key.dataset.key;
      keys.filter(same).forEach((other) => other.setAttribute("aria-pressed", String(!hidden)));
      all("[data-key]:not(.key)", chart).filter(same).forEach((part) => part.classList.toggle("off", hidden));
      marks().forEach((mark, k) => mark.setAttribute("tabindex", k ? "-1" : "0"));
    }));
    const zoomed = chart.querySelector(".zoomed");
    if (!zoomed) return;
    let factor = 1;
    const tools = make("div", { className: "zoom-tools" });
    const buttons = [["Zoom in", 2], ["Zoom out", 0.5]].map(([text, times]) => {
      const button = make("button", { type: "button", textContent: text });
      button.addEventListener("click", () => {
        factor = Math.max(1, Math.min(8, factor * times));
        zoomed.style.width = `${100 * factor}%`;
        buttons[1].disabled = factor === 1;
        buttons[0].disabled = factor === 8;
      });
      return button;
    });
    buttons[1].disabled = true;
    tools.append(...buttons);
    zoomed.closest(".line-plot").prepend(tools);
  });

  // --- tables: sorting by a column
  all("table").forEach((table) => all("thead th", table).forEach((head, column) => {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const number = (row) => row.cells[column].dataset.value;
      const text = (row) => row.cells[column].textContent;
      const compare = (a, b) => {
        const missing = (number(a) === undefined) - (number(b) === undefined);
        if (missing) return missing;
        return number(a) === undefined ? text(a).localeCompare(text(b), "en", { numeric: true }) : number(a) - number(b);
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
      table.tBodies[0].append(...rows);
    });
  }));

  // --- citations
  all(".copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected: copy with the keyboard";
      }
    });
  });

  // --- print: every fold is open
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((fold) => { fold.open = false; }));
})();
