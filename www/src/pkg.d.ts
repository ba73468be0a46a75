// The wasm-bindgen output, wherever the build's FACEXT_PKG points.
declare module '#pkg/facext.js' {
  const engine: import('./protocol').EngineModule;
  export default engine.default;
  export const Engine: import('./protocol').EngineModule['Engine'];
  export const helpers: import('./protocol').EngineModule['helpers'];
}
declare module '#pkg-cpu/facext.js' {
  const engine: import('./protocol').EngineModule;
  export default engine.default;
  export const Engine: import('./protocol').EngineModule['Engine'];
  export const helpers: import('./protocol').EngineModule['helpers'];
}
declare module '#wasm-cpu?url' {
  const url: string;
  export default url;
}
declare module '#wasm?url' {
  const url: string;
  export default url;
}
// Which of the two `lazy` files and of the two `assets` files it is, the build says.
declare module '#lazy' {
  export const english: () => Promise<typeof import('./words-en')>;
  export const here: { english?: typeof import('./words-en'); chinese?: typeof import('./words-zh'); explainer?: typeof import('./explain-zh') };
  export const chinese: () => Promise<typeof import('./words-zh')>;
  export const explainer: () => Promise<typeof import('./explain-zh')>;
  export const pseudo: () => Promise<typeof import('./pseudo')>;
  export const overlay: () => Promise<typeof import('./overlay')>;
  export const saving: () => Promise<typeof import('./saving')>;
}
declare module '#assets' {
  export function assetUrls(base: string): import('./spawn').AssetUrls;
}
declare module '*?worker&url' {
  const url: string;
  export default url;
}
// Worker-only parts of the file system API that TypeScript's page library leaves out.
interface FileSystemSyncAccessHandle {
  read(buffer: Uint8Array, options?: { at?: number }): number;
  write(buffer: Uint8Array, options?: { at?: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
interface FileSystemFileHandle {
  createSyncAccessHandle(): Promise<FileSystemSyncAccessHandle>;
}
declare module '*.css';
// What Vite puts in the place of a call with a pattern.
interface ImportMeta {
  glob<T>(pattern: string, options: { query?: string; import?: string; eager: true }): Record<string, T>;
}
