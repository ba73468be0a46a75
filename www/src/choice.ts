/**
 * Which of the two engines serves here. One has kernels for graphics processors, which are over half of its size; where there is none to
 * use, or the processor is asked for, the other is fetched. The engine then looks for itself and says why it chose its device.
 */
export type EngineName = 'full' | 'cpu';

interface Adapter {
  info?: { isFallbackAdapter?: boolean };
  isFallbackAdapter?: boolean;
}

export async function engineFor(device: string): Promise<EngineName> {
  if (device === 'cpu') return 'cpu';
  try {
    const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<Adapter | null> } };
    const adapter = await gpu?.requestAdapter();
    // A software adapter is used only when asked for by name, as in `src/web/device.rs`.
    const slow = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
    return adapter && (device === 'gpu' || !slow) ? 'full' : 'cpu';
  } catch {
    return 'cpu';
  }
}
