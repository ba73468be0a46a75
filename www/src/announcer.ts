/**
 * One polite status line for screen readers, at most one message in five seconds; the latest message wins.
 *
 * A streaming answer would otherwise drown everything else that a screen reader has to say.
 */
const INTERVAL_MS = 5000;

export class Announcer {
  private last = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private waiting = '';

  constructor(private readonly speak: (text: string) => void) {}

  say(text: string): void {
    this.waiting = text;
    if (this.timer !== undefined) return;
    const wait = Math.max(0, this.last + INTERVAL_MS - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.last = performance.now();
      this.speak(this.waiting);
    }, wait);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
