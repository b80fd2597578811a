'use strict';
// What `devboxgpu sessions list -o json` answers, in words for the status bar. Knows nothing of VS Code.

const OVER = new Set(['Ended']);

/** The sessions that hold or wait for a GPU. Throws where the answer is not a list. */
function liveSessions(text) {
  const sessions = JSON.parse(text);
  if (!Array.isArray(sessions)) {
    throw new Error('the answer is not a list of sessions');
  }
  return sessions.filter((session) => session && session.id && !OVER.has(session.state));
}

/** How long the session has run, in whole minutes; undefined where it is not known. */
function minutesOf(session, now) {
  if (typeof session.durationSeconds === 'number') {
    return Math.floor(session.durationSeconds / 60);
  }
  const created = Date.parse(session.createdAt);
  return Number.isNaN(created) ? undefined : Math.max(0, Math.floor((now - created) / 60000));
}

function costOf(session) {
  const cost = session.cost;
  const amount = cost && Number(cost.amount);
  return cost && Number.isFinite(amount) ? { amount, currency: String(cost.currency || '') } : undefined;
}

/** `T4 · 42 min · est. 0.41 USD`: what is not known is left out, never shown as nothing. */
function summary(session, now) {
  const running = session.state === 'Running';
  const minutes = running ? minutesOf(session, now) : undefined;
  const cost = costOf(session);
  return [
    session.gpuType || 'GPU',
    running ? undefined : String(session.state).toLowerCase(),
    minutes === undefined ? undefined : `${minutes} min`,
    cost ? `est. ${cost.amount.toFixed(2)} ${cost.currency}`.trim() : undefined,
  ].filter(Boolean).join(' · ');
}

/** The status bar's words for all of them; undefined where there is nothing to show. */
function statusText(sessions, now) {
  if (sessions.length === 0) {
    return undefined;
  }
  const more = sessions.length > 1 ? ` +${sessions.length - 1}` : '';
  return `$(vm) ${summary(sessions[0], now)}${more}`;
}

module.exports = { liveSessions, minutesOf, statusText, summary };
