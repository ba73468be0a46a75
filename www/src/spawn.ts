/**
 * Starts a worker from a URL, under Trusted Types and from another origin.
 *
 * A page that enforces Trusted Types takes a worker's URL only from a policy; ours is called `facext` and passes URLs of this
 * program's own files alone. A browser refuses workers of another origin (a script from a CDN), so there a blob of one line imports
 * the real one.
 */
import type { EngineName } from './choice';

/** Absolute URLs of this program's own files. */
export interface AssetUrls {
  worker: string;
  wasm: Record<EngineName, string>;
}

interface Policy {
  createScriptURL(url: string): unknown;
}
interface PolicyFactory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy;
}

let policy: Policy | null | undefined;
const allowed = new Set<string>();
/** One blob for each foreign worker; a spare is started from it later, so it is never revoked. */
const trampolines = new Map<string, string>();

/** The URL as the browser wants to have it: a trusted one where Trusted Types exist. */
export function trusted(url: string): string {
  allowed.add(url);
  if (policy === undefined) {
    const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
    try {
      policy = factory?.createPolicy('facext', {
        createScriptURL: (asked) => {
          if (!allowed.has(asked)) throw new TypeError('not a script of facext');
          return asked;
        },
      }) ?? null;
    } catch {
      // The page's policy does not name ours: without enforcement the plain string will do.
      policy = null;
    }
  }
  return (policy ? policy.createScriptURL(url) : url) as string;
}

export function spawnWorker(url: string): Worker {
  let start = url;
  if (new URL(url).origin !== globalThis.location?.origin) {
    start = trampolines.get(url) ?? URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: 'text/javascript' }));
    trampolines.set(url, start);
  }
  return new Worker(trusted(start), { type: 'module', name: 'facext' });
}
