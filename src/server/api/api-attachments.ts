import { EntremiseError } from '../../base/errors.ts';
import type { Terminal } from '../../terminal/index.ts';
import { ApiAttachment } from './api-attachment.ts';
import { ApiFailure } from './problem.ts';
import type { ApiToken } from './token-store.ts';

/** What a request to attach says. */
export interface AttachWish {
  readonly mediator: string;
  /** That of the grant when absent. */
  readonly purpose?: 'assistance' | 'service';
  readonly holdMs?: number;
}

/** Attachments of one token at once. */
const maxAttachments = 1_000;

/** How long an attachment outlives the loss of its way when nothing is said. */
const defaultHoldMs = 120_000;

/** The attachments that requests have made. They end with DELETE, with their grant, with their token, with the server. */
export class ApiAttachments {
  private readonly terminal: Terminal;
  private readonly all = new Map<string, ApiAttachment>();

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** Those that a token has made. */
  of(token: ApiToken): ApiAttachment[] {
    return [...this.all.values()].filter(({ tokenId }) => tokenId === token.id);
  }

  /** How many there are. */
  get size(): number {
    return this.all.size;
  }

  /**
   * Attaches under the token's grant.
   * @throws TunnelError as Terminal.attach; EntremiseError `grant-missing`, `limit`
   */
  async attach(token: ApiToken, { mediator, purpose, holdMs = defaultHoldMs }: AttachWish) {
    const { grantId: grant } = token;
    if (grant === undefined)
      throw new EntremiseError('grant-missing', { message: 'This token names no grant.', by: 'terminal' });
    if (this.of(token).length >= maxAttachments) throw new EntremiseError('limit', { by: 'terminal' });
    const granted = this.terminal.grants().find(({ id }) => id === grant)?.purpose ?? 'service';
    const attachment = await this.terminal.attach(mediator, { grant, purpose: purpose ?? granted, holdMs });
    const made = new ApiAttachment(attachment, token.id);
    this.all.set(attachment.peer.id, made);
    attachment.once('closed', () => this.all.delete(attachment.peer.id));
    return made;
  }

  /** The one with that id, if this token has made it. @throws ApiFailure 404 */
  get(token: ApiToken, id: string): ApiAttachment {
    const found = this.all.get(id);
    if (found !== undefined && found.tokenId === token.id) return found;
    throw new ApiFailure(404, `This token has no attachment ${JSON.stringify(id)}.`);
  }

  /** Ends those whose token `isGood` no more. */
  endOthers(isGood: (tokenId: string) => boolean): void {
    for (const { attachment, tokenId } of [...this.all.values()]) if (!isGood(tokenId)) attachment.detach();
  }
}
