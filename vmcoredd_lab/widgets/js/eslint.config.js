import js from "@eslint/js";

const browser = Object.fromEntries(
  ["document", "window", "navigator", "requestAnimationFrame", "cancelAnimationFrame", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "console",
    "HTMLElement", "KeyboardEvent", "ResizeObserver", "MutationObserver", "getComputedStyle", "HTMLCanvasElement", "Float64Array", "Float32Array", "Int32Array", "Uint16Array",  "DataView", "Uint8Array", "BigInt", "performance", "DOMRect", "Node"].map((n) => [n, "readonly"]),
);

export default [
  js.configs.recommended,
  { languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: browser }, rules: { eqeqeq: "error", "no-var": "error", "prefer-const": "error" } },
];
