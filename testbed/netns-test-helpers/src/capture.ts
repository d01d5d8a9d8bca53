import { checkWhole } from './input.ts';
import type { Interface } from './link.ts';
import { NativeProgram } from './native.ts';

/** How much a capture keeps. */
export interface CaptureOptions {
  /** The first bytes of each packet; 160, which is all headers, when left out. */
  readonly snapBytes?: number;
  /** The last bytes of all packets; 16 MiB when left out. They are kept in memory, not in a file. */
  readonly keepBytes?: number;
}

/** The last packets of an interface, both directions, kept until somebody wants to see them. Made by `Lab.capture`. */
export class Capture {
  readonly interface: Interface;
  readonly #program: NativeProgram;

  private constructor(where: Interface, program: NativeProgram) {
    this.interface = where;
    this.#program = program;
  }

  /** Starts to capture. @throws LabError `bad-input`, `command-failed`; `unsupported` without a C++ compiler. */
  static async start(where: Interface, options: CaptureOptions): Promise<Capture> {
    const snapBytes = checkWhole(options.snapBytes ?? 160, 'snapBytes', 14, 65_535);
    const keepBytes = checkWhole(options.keepBytes ?? 16 << 20, 'keepBytes', 1, 2 ** 40);
    const program = await NativeProgram.start(where.namespace, 'capture', [where.name, snapBytes, keepBytes]);
    return new Capture(where, program);
  }

  /**
   * Writes what is kept to a pcap file, times in nanoseconds. It goes on capturing.
   *
   * @throws LabError `command-failed` when the file cannot be written; the capture has then ended.
   */
  async write(
    path: string,
  ): Promise<{ readonly packets: number /** Older ones. */; readonly forgotten: number }> {
    return (await this.#program.ask(`write ${path}`)) as { packets: number; forgotten: number };
  }
}
