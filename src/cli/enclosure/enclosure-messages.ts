/** What the two processes of `entremise run` tell each other over Node's channel; packets go by a pipe (packet-pipe.ts). */

/** The word, not for people, that makes the CLI the process inside. */
export const insideWord = 'run-inside';

/** Who the command is, where the namespaces belong to an ordinary user. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** To the process inside. */
export type ToInside =
  | { readonly kind: 'run'; readonly words: readonly string[]; readonly identity: Identity | undefined }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals };

/** From the process inside. `listener` comes with the listening socket itself. */
export type FromInside =
  | { readonly kind: 'listener' }
  | { readonly kind: 'failed'; readonly message: string }
  /** The command has ended, with this exit code as a shell tells it. */
  | { readonly kind: 'ended'; readonly code: number };

/** A message of the other process, which is of this program: only its kind is looked at. */
export function isMessage(message: unknown): message is { readonly kind: string } {
  return typeof message === 'object' && message !== null && 'kind' in message;
}
