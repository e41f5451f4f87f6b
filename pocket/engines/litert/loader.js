// How LiteRT's script is loaded into a worker that is a module: in place of the package
// @litertjs/wasm-utils, which asks for a page or for a worker of the older kind.

/** Load the script, which leaves its factory behind; wrap what that makes. */
export async function createWasmLib(Wrapper, script) {
  await import(script);
  return new Wrapper(await self.ModuleFactory(self.Module));
}
