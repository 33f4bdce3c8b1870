// Style sheets of the widgets: each is added to the page once, since every new one makes the page compute all its styles anew.

const added = "data-vmcoredd-lab";

/** @param {string} name */
const sheet = (name) => document.head.querySelector(`style[${added}="${name}"]`);

/** @param {string} name @param {string} css */
export function addStyle(name, css) {
  const old = sheet(name);
  if (old && old.textContent === css) return;
  const node = /** @type {HTMLElement} */ (old || document.createElement("style"));
  node.setAttribute(added, name);
  node.textContent = css; // another version of the package was here before
  if (!old) document.head.append(node);
}

/** @param {string} name */
export function dropStyle(name) {
  sheet(name)?.remove();
}
