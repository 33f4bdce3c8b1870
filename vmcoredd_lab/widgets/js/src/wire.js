// Requests to the kernel: each has an id, and its answer carries the same id; answers may come late or never.

/** @typedef {Record<string, any>} Message */
/** @typedef {{message: Message, buffers: DataView[]}} Answer */

const PATIENCE = 30000; // milliseconds until a request that nobody answers is given up

export class Wire {
  /** @param {any} model the widget's model */
  constructor(model) {
    this.model = model;
    this.next = 1;
    /** @type {Map<string, {resolve: (a: Answer) => void, reject: (e: Error) => void, progress?: (m: Message) => void, timer: any}>} */
    this.waiting = new Map();
    this.prefix = Math.random().toString(36).slice(2, 8);
    /** @type {(message: Message, buffers: DataView[]) => void} */
    this.listener = (message, buffers) => this.received(message, buffers || []);
    model.on("msg:custom", this.listener);
  }

  /**
   * @param {string} op
   * @param {Message} args
   * @param {(m: Message) => void} [progress] called with each answer that is not the last
   * @returns {Promise<Answer> & {id: string}}
   */
  ask(op, args, progress) {
    const id = `${this.prefix}-${this.next++}`;
    const promise = new Promise((resolve, reject) => {
      const timer = progress ? null : setTimeout(() => this.lose(id, "the kernel does not answer"), PATIENCE);
      this.waiting.set(id, { resolve, reject, progress, timer });
      this.model.send({ id, op, ...args });
    });
    return Object.assign(/** @type {Promise<Answer>} */ (promise), { id });
  }

  /** @param {string} id */
  cancel(id) {
    this.model.send({ op: "cancel", which: id });
  }

  /** @param {Message} message @param {DataView[]} buffers */
  received(message, buffers) {
    const one = this.waiting.get(message.id);
    if (!one) return; // another view's, or given up
    if (message.ok && one.progress && message.done === false) {
      one.progress(message);
      return;
    }
    this.waiting.delete(message.id);
    clearTimeout(one.timer);
    if (message.ok) one.resolve({ message, buffers });
    else one.reject(new Error(message.error || "no reason given"));
  }

  /** @param {string} id @param {string} why */
  lose(id, why) {
    const one = this.waiting.get(id);
    if (!one) return;
    this.waiting.delete(id);
    one.reject(new Error(why));
  }

  close() {
    this.model.off("msg:custom", this.listener);
    for (const id of [...this.waiting.keys()]) this.lose(id, "closed");
  }
}

/** @param {DataView} view @returns {Uint8Array} the bytes of a binary buffer */
export const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
