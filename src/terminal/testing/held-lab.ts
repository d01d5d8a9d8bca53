import type { ExecutionContext } from 'ava';
import type { AttachOptions } from '../attach-options.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { eventually } from './eventually.ts';
import { type Lab, type LabOptions, lab, mediatorEntry } from './lab.ts';

/** A lab whose mediator holds, and whose terminal has attached. */
export interface HeldLab extends Lab {
  readonly attachment: MediatorAttachment;
  /** What the attachment has told of its way, in order: `suspended <reason>`, `resumed`, `closed <reason>`. */
  readonly told: readonly string[];
  /** The mediator loses its link: offline, UNROUTED. Resolves when the attachment is suspended. */
  goAway(): Promise<void>;
  /** PRESENCE says that the mediator is online. */
  tellOnline(): Promise<void>;
  /** As {@link tellOnline}; resolves when the attachment has resumed. */
  comeBack(): Promise<void>;
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve));
}

/** A terminal that is attached to a mediator which holds for at most `holdMs`. */
export async function heldLab(
  t: ExecutionContext,
  holdMs = 60_000,
  options: LabOptions = {},
  attachOptions: AttachOptions = {},
): Promise<HeldLab> {
  const made = await lab(t, options);
  const { server, terminal } = made;
  server.holdMs = holdMs;
  const attachment = await terminal.attach('gw-1', attachOptions);
  const told: string[] = [];
  attachment.on('suspended', ({ reason }) => told.push(`suspended ${reason}`));
  attachment.on('resumed', () => told.push('resumed'));
  attachment.on('closed', ({ reason }) => told.push(`closed ${reason}`));
  const tellOnline = async () => {
    server.away = false;
    server.tell({ entries: [await mediatorEntry()] });
  };
  const isOffline = () => terminal.mediators()[0]?.online === false;
  return {
    ...made,
    attachment,
    told,
    tellOnline,
    async goAway() {
      server.away = true;
      server.tell({ entries: [await mediatorEntry({ online: false })] });
      server.unroute();
      await eventually(
        'the attachment is suspended',
        () => isOffline() && attachment.suspended !== undefined,
      );
      // An attempt may have been under way before PRESENCE came.
      await settle();
    },
    async comeBack() {
      await tellOnline();
      await eventually('the attachment is resumed', () => attachment.suspended === undefined);
    },
  };
}
