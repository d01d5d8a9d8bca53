import { asEntremiseError, type EntremiseError } from '../../base/errors.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import type { Terminal } from '../../terminal/index.ts';
import { FeatureAttachments } from './feature-attachments.ts';
import { type FeatureOptions, featureDirectory, startFeature } from './feature-terminal.ts';

/** The terminal of a feature, begun when it has something to do first, and once it is enrolled. */

/** How soon it is tried again: the operator may have enrolled it. */
const retryMs = 5_000;

/** What a host is made of. */
export interface FeatureHostOptions extends Omit<FeatureOptions, 'directory' | 'plainUdp'> {
  readonly stateDir: string;
  /** It has begun, has failed otherwise than before, or a mediator or an attachment of it stands otherwise. */
  onChange(): void;
}

/** A terminal that runs. */
export interface RunningFeature {
  readonly terminal: Terminal;
  /** Plain UDP of the server's relay; undefined where there is none. */
  readonly side: PlainSide | undefined;
  readonly attachments: FeatureAttachments;
}

/** See the head of this file. */
export class FeatureHost {
  private readonly options: FeatureHostOptions;
  private now: RunningFeature | undefined;
  private error: EntremiseError | undefined;
  private beginning: Promise<void> | undefined;
  private closed = false;

  constructor(options: FeatureHostOptions) {
    this.options = options;
  }

  /** Undefined until it has begun. */
  get running(): RunningFeature | undefined {
    return this.now;
  }

  /** Why it has not begun. */
  get failure(): EntremiseError | undefined {
    return this.error;
  }

  /** Begins, unless it has or is about to; goes on trying. Never throws. */
  begin(): void {
    if (this.closed || this.now !== undefined || this.beginning !== undefined) return;
    this.beginning = this.start();
  }

  private async start(): Promise<void> {
    const { name, stateDir, clock, onChange } = this.options;
    try {
      const directory = featureDirectory(stateDir, name);
      const { terminal, side } = await startFeature({ ...this.options, directory, plainUdp: true });
      terminal.on('mediator', onChange).on('connected', onChange);
      this.now = { terminal, side, attachments: new FeatureAttachments(terminal, name, onChange) };
      this.error = undefined;
      if (!this.closed) onChange();
    } catch (thrown) {
      this.onFailure(asEntremiseError(thrown));
      clock.after(retryMs, () => this.begin());
    } finally {
      this.beginning = undefined;
    }
  }

  private onFailure(error: EntremiseError): void {
    const isNew = error.message !== this.error?.message;
    this.error = error;
    if (!isNew || this.closed) return;
    const { name, log, onChange } = this.options;
    log.error(
      { feature: name, code: error.code, reason: error.message },
      'a feature of the server does not run',
    );
    onChange();
  }

  /** Ends it and all its attachments. */
  async close(): Promise<void> {
    this.closed = true;
    await this.beginning;
    this.now?.attachments.close();
    await this.now?.terminal.close();
  }
}
