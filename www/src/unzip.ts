/**
 * The wasm as it arrives: gzipped files are unzipped while they stream. Some servers say `Content-Encoding: gzip` for such a file, and
 * the browser has unzipped it already; so the first bytes decide, not the name.
 */
const GZIP = [0x1f, 0x8b];

/** The plain bytes of a response as a stream. */
export async function unzipped(body: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  const reader = body.getReader();
  let head = new Uint8Array(0);
  let ended = false;
  while (head.length < GZIP.length && !ended) {
    const { done, value } = await reader.read();
    ended = done;
    if (value) {
      const longer = new Uint8Array(head.length + value.length);
      longer.set(head);
      longer.set(value, head.length);
      head = longer;
    }
  }
  const whole = new ReadableStream<Uint8Array>({
    start: (to) => to.enqueue(head),
    async pull(to) {
      const { done, value } = await reader.read();
      if (done) to.close();
      else to.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const zipped = GZIP.every((byte, i) => head[i] === byte);
  return zipped ? whole.pipeThrough(new DecompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>) : whole;
}
