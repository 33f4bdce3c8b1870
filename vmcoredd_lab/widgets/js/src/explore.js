// The explorer: tables on top, the bytes of the chosen row below.

import css from "./explore.css";
import hexview from "./hexview.css";
import { parse } from "./address.js";
import { el, inert, keepKeys } from "./dom.js";
import { HexPane } from "./hexview.js";
import { addStyle } from "./style.js";
import { VirtualTable } from "./table.js";
import { Wire } from "./wire.js";

class Explorer {
  /** @param {any} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    this.wire = new Wire(model);
    addStyle("hexview", hexview);
    addStyle("explore", css);
    this.tabs = el("div", { class: "vl-tabs", role: "tablist", "aria-label": "tables" });
    this.filter = el("input", { class: "vl-filter", type: "search", placeholder: "filter", "aria-label": "filter rows by words", spellcheck: "false", oninput: () => this.later() });
    this.count = el("span", { class: "vl-count", role: "status", "aria-live": "polite" });
    this.detail = el("div", { class: "vl-detail", "aria-label": "the chosen row", tabindex: 0 });
    this.table = new VirtualTable(this.wire, { chosen: (row, query) => this.chosen(row, query), told: (m) => this.told(m) });
    this.root = el("div", { class: "vl-explore vl-hex", "data-lm-suppress-shortcuts": "true" }, this.tabs,
      el("div", { class: "vl-bar" }, this.filter, this.count), el("div", { class: "vl-upper" }, this.table.root, this.detail));
    keepKeys(this.root);
    host.append(this.root);
    const below = el("div", {});
    host.append(below);
    const first = model.get("first_rows");
    if (first && first.listings) {
      this.list(first.listings, first.name);
      this.table.query.name = first.name;
      if (first.rows) this.table.take(first);
    }
    this.pane = new HexPane(model, below, this.wire);
    this.begin();
  }

  async begin() {
    try {
      const { message } = await this.wire.ask("listings", {});
      this.list(message.listings, this.model.get("listing"));
      const name = this.model.get("listing");
      if (this.table.total <= 0 || this.table.query.name !== name) this.table.show({ name }); // else its first rows are there, and may be chosen
    } catch {
      // no kernel: the first rows are what there is
    }
  }

  /** @param {[string, string][]} all @param {string} current */
  list(all, current) {
    this.tabs.replaceChildren(...all.map(([name, title]) => el("button", { type: "button", role: "tab", class: "vl-tab", "aria-selected": String(name === current), "data-name": name, onclick: () => this.tab(name) }, inert(title, 60))));
  }

  /** @param {string} name */
  tab(name) {
    for (const t of this.tabs.children) t.setAttribute("aria-selected", String(/** @type {any} */ (t).dataset.name === name));
    this.filter.value = "";
    this.detail.replaceChildren();
    this.model.set("listing", name);
    this.model.save_changes();
    this.table.show({ name, filter: "", sort: null, down: false });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.table.show({ filter: this.filter.value }), 120);
  }

  /** @param {any} m */
  told(m) {
    this.root.dataset.making = String(!!m.making);
    this.pane?.hideFirst(); // it is shown anew with the first table
    if (m.making) {
      this.count.textContent = "";
      this.root.dataset.ready = "true";
      return;
    }
    this.count.textContent = inert(m.error ? m.error : `${m.total === m.all ? "" : `${m.total} of `}${m.all} rows${m.note ? " · " + m.note : ""}`, 300);
    this.root.dataset.ready = String(!m.error);
  }

  /** @param {number} row @param {Record<string, any>} query */
  async chosen(row, query) {
    let message;
    try {
      ({ message } = await this.wire.ask("row", { ...query, row }));
    } catch (e) {
      this.count.textContent = inert(String(/** @type {Error} */ (e).message), 300);
      return;
    }
    const rows = [...message.cells, ...message.detail];
    this.detail.replaceChildren(el("dl", {}, ...rows.flatMap(([name, text]) => (text === "-" ? [] : [el("dt", {}, inert(name)), el("dd", {}, inert(text))]))));
    if (message.space) await this.pane.show(message.space, parse(message.at), BigInt(message.size));
    else this.pane.say("this row has no bytes of its own in the file");
  }

  close() {
    clearTimeout(this.timer);
    this.pane.close();
  }
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: host }) {
    const explorer = new Explorer(model, host);
    return () => explorer.close();
  },
};
