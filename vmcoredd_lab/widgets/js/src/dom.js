// Small helpers for making elements. Text from a dump only ever becomes text, never markup.

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] on… are listeners; true and false set and leave out
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

/** What names a control for people who see it and for screen readers. @param {string} text */
export const named = (text) => ({ "aria-label": text, title: text });

/**
 * What may be shown of text from a file: control characters, direction overrides and lone surrogates become visible.
 * @param {string} text @param {number} [most] characters
 */
export function inert(text, most = 4000) {
  const short = text.length > most ? text.slice(0, most) + "…" : text;
  return short.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what it is about
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/**
 * Keep what is typed in a widget from the page's shortcuts, except what can only be meant for the page (F1, Ctrl+S).
 * @param {HTMLElement} root @param {(e: KeyboardEvent) => boolean} [used] whether the widget does something with a key
 */
export function keepKeys(root, used = () => false) {
  root.addEventListener("keydown", (e) => {
    const taken = used(e);
    if (taken) e.preventDefault();
    const typing = /^(INPUT|SELECT)$/.test(/** @type {HTMLElement} */ (e.target).tagName);
    const pages = /^F\d+$/.test(e.key) || (!typing && (e.ctrlKey || e.altKey || e.metaKey));
    if (taken || !pages) e.stopPropagation();
  });
}

/** @param {string} text @returns {Promise<void>} */
export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
