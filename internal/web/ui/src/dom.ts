// A little of the DOM. Text is always text: nothing here parses HTML.

type Child = Node | string | number | null | undefined | false;
type Props = Record<string, string | boolean | ((e: Event) => void)>;

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") el.addEventListener(name, value);
    else if (value === true) el.setAttribute(name, "");
    else if (value !== false) el.setAttribute(name, value);
  }
  put(el, children);
  return el;
}

function put(el: Element, children: Child[]): void {
  for (const c of children) {
    if (c === null || c === undefined || c === false) continue;
    el.append(c instanceof Node ? c : String(c));
  }
}

export function fill(el: Element, ...children: Child[]): void {
  el.replaceChildren();
  put(el, children);
}

// table is one with a caption that is read out and not seen. It scrolls by itself on narrow screens, with the keyboard too.
export function table(caption: string, heads: string[], rows: Child[][]): HTMLElement {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": `${caption}, as a table` },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, ...heads.map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((c) => h("td", {}, c))))),
    ),
  );
}

// keep puts a table into a place without taking the keyboard's focus, or how far it was scrolled, away.
export function keep(place: Element, fresh: HTMLElement): void {
  const old = place.firstElementChild;
  if (old instanceof HTMLElement && old.className === fresh.className && place.childElementCount === 1 && old.firstElementChild && fresh.firstElementChild) {
    old.firstElementChild.replaceWith(fresh.firstElementChild);
  } else {
    fill(place, fresh);
  }
}
