// A small static server for dist/: node:http only, this machine only, byte ranges, right MIME types. The page needs no special headers; those
// that isolate it from other sites are sent because it then computes on several threads.
//
//   node www/serve.mjs DIRECTORY [PORT] [--base /sub/path/]
//
// Files whose name carries a hash never change and are cached for good; everything else is revalidated by ETag.
import { createServer } from 'node:http';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { extname, join, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** One satisfiable range `[first, last]`, null for none, 'bad' for one outside the file. */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (!match[1] && !match[2])) return null;
  const first = match[1] ? Number(match[1]) : Math.max(0, size - Number(match[2]));
  const last = match[1] && match[2] ? Math.min(Number(match[2]), size - 1) : size - 1;
  return first > last || first >= size ? 'bad' : [first, last];
}

/** What isolates a page, so that it may share memory between threads. */
export const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** A request handler for the files under `root`, mounted at `base`. */
export function handler({ root, base = '/', isolated = false }) {
  const home = resolve(root);
  const prefix = `/${base}/`.replace(/\/+/g, '/');
  return async (request, response) => {
    const fail = (status, headers = {}) => response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(`${status}\n`);
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') return fail(405, { allow: 'GET, HEAD' });
      const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
      if (path === prefix.slice(0, -1)) return fail(301, { location: prefix });
      if (!path.startsWith(prefix) || path.includes('\0')) return fail(404);
      let file = resolve(join(home, path.slice(prefix.length)));
      if (file !== home && !file.startsWith(home + sep)) return fail(404);
      let facts = await stat(file).catch(() => null);
      if (facts?.isDirectory()) {
        file = join(file, 'index.html');
        facts = await stat(file).catch(() => null);
      }
      if (!facts?.isFile()) return fail(404);
      // A link inside the directory must not lead out of it.
      if (!(await realpath(file)).startsWith((await realpath(home)) + sep)) return fail(404);

      const etag = `"${facts.size.toString(16)}-${Math.round(facts.mtimeMs).toString(16)}"`;
      const hashed = /[-.][\w-]{8,}\.\w+$/.test(path) && path.includes('/assets/');
      const headers = {
        'content-type': TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream',
        'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
        'accept-ranges': 'bytes',
        'x-content-type-options': 'nosniff',
        ...(isolated ? ISOLATED : {}),
        etag,
      };
      if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end();
      const range = parseRange(request.headers.range, facts.size);
      if (range === 'bad') return fail(416, { 'content-range': `bytes */${facts.size}` });
      const [first, last] = range ?? [0, facts.size - 1];
      headers['content-length'] = last - first + 1;
      if (range) headers['content-range'] = `bytes ${first}-${last}/${facts.size}`;
      response.writeHead(range ? 206 : 200, headers);
      if (request.method === 'HEAD' || facts.size === 0) return response.end();
      createReadStream(file, { start: first, end: last }).on('error', () => response.destroy()).pipe(response);
    } catch {
      if (response.headersSent) response.destroy();
      else fail(400);
    }
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const words = process.argv.slice(2);
  const at = words.indexOf('--base');
  const base = at >= 0 ? words.splice(at, 2)[1] : '/';
  const [root, port = '8080'] = words;
  if (!root) {
    console.error('usage: node serve.mjs DIRECTORY [PORT] [--base /sub/path/]');
    process.exit(2);
  }
  const server = createServer(handler({ root, base, isolated: true }));
  server.on('error', (error) => {
    console.error(error.code === 'EADDRINUSE' ? `port ${port} is in use: name another one` : String(error));
    process.exit(1);
  });
  server.listen(Number(port), '127.0.0.1', () => {
    const prefix = `/${base ?? ''}/`.replace(/\/+/g, '/');
    console.log(`http://127.0.0.1:${server.address().port}${prefix}`);
  });
}
