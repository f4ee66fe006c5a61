"""The table of refusals: (stage, code, enhanced code, words) to whose fault it is, each rule with its source.

Sources without a document of their own: RFC 5321, 4.2 (codes), RFC 3463 and 5248 (enhanced codes), and the replies that
the named providers publish: support.google.com/a/answer/3726730, learn.microsoft.com "Email non-delivery reports",
docs.aws.amazon.com/ses "SMTP response codes".
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What was refused: a step of SMTP (``END``: the dot after the content), a POST to an inbox's URL, or a call of a
    mail service's API."""

    GREETING = "greet"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "eod"
    POST = "post"
    API = "api"


class ReplyClass(StrEnum):
    """Whose fault a refusal is."""

    RECIPIENT_GONE = "recipient-gone"
    MAILBOX_FULL = "mailbox-full"
    CONTENT = "content"
    RECIPIENT_POLICY = "recipient-policy"
    SENDER_QUOTA = "sender-quota"
    SENDER_REPUTATION = "sender-reputation"
    SERVER = "server-temporary"
    GREYLIST = "greylist"
    LOGIN = "auth"
    CONFIGURATION = "config"


@dataclass(frozen=True, slots=True)
class Rule:
    """Applies when all its patterns match: ``codes`` and ``enhanced`` (subject and detail, empty for a reply without
    an enhanced code) as a whole, ``words`` anywhere in the text, which is in lower case and without addresses."""

    stages: frozenset[Stage]
    codes: str
    enhanced: str
    words: str
    reply_class: ReplyClass
    source: str

    def applies(self, stage: Stage, code: str, enhanced: str, text: str) -> bool:
        if stage not in self.stages or not re.fullmatch(self.codes, code):
            return False
        return bool(re.fullmatch(self.enhanced, enhanced)) and bool(re.search(self.words, text))


HTTP = frozenset({Stage.POST, Stage.API})
_POST, _END, _AUTH, _MAIL = (frozenset({stage}) for stage in (Stage.POST, Stage.END, Stage.AUTH, Stage.MAIL))
_SMTP = frozenset(Stage) - HTTP
_RCPT = frozenset({Stage.RCPT, Stage.DATA})
_LATE = _RCPT | _END
_EARLY = _SMTP - _LATE
_NOT_END = _SMTP - _END
_ANY, _NONE, _4XX, _5XX = r".*", "", r"4\d\d", r"5\d\d"

_TOO_BIG = (
    r"message size|too (big|large|long)|(bigger|larger|longer) than|(size|length) limit|max\w* .{0,20}(size|length)"
    r"|exceed\w* .{0,30}(size|length)"
)
_QUOTA = (
    r"throttl|slow(ing)? down|rate.?limit|credits|too (fast|quick|frequent)|frequency limit|submission ?quota"
    r"|messaging limits?|message rate|recipient limit|unusual .{0,20}activity"
    r"|too (many|much) .{0,20}(recipient|message|mail|connection|session|request|command)"
    r"|(daily|hourly|per.(day|hour|minute)|(this|an|last) hour|today|\brate\b|sending|outbound|relay|sender|messages"
    r"|recipients|connections?).{0,60}(limit|quota|\bmax|threshold|allowance|exceed)"
    r"|(limit|quota|\bmax|threshold|exceed).{0,60}(daily|hourly|per.(day|hour|minute)|\brate\b|sending|outbound"
    r"|recipients|connections?|messages|mails)"
)
_FULL = (
    r"(mail ?box|inbox|postfach).{0,30}(full|voll|quota)|over.?quota|over .{0,30}quota|quota.{0,20}exceed"
    r"|exceed.{0,30}(quota|storage|space)|out of (space|storage)|insufficient .{0,20}(storage|space)|disk quota"
    r"|überfüllt|\bpleine?\b|\bllen[oa]\b|\bpien[oa]\b|переполнен"
)
_NOT_THE_RECIPIENT = (
    r"^(?!.*("
    r"sender (address|verif)|bad sender|mail from|from:? (address|header)|return.?path|call(out|back)"
    r"|verification failed|absender|exp[ée]diteur|remitente|mittente|afzender|отправител"
    r"|\b(helo|ehlo|ips?|spf|dkim|dmarc)\b|spam|(block|black).?list|rcpthosts"
    r"|relay(ing)?\b.{0,20}(denied|not|prohib|refus)|(not|no|open|unable to) relay"
    r"|authenticat|log(ged)? in|password|header|your (e?mail )?(account|server)|sending (account|limit)|rate limit"
    r"|plan\b|temporar|maintenance|access denied))"
)
_GONE = (
    rf"{_NOT_THE_RECIPIENT}"
    r"(?!.*(sender|reputation|relay(?! recipient)|client host|block|polic)).*("
    r"(no such|unknown|invalid|non-?existent|unrecogni[sz]ed) .{0,20}(user|recipient|mail ?box|person|address|account)"
    r"|(user|recipient|mail ?box|account|address).{0,60}(unknown|not found|n[o']t (currently )?exist|no longer|invalid"
    r"|disabled|inactive|unavailable|not available|unrecogni[sz]ed|not (a )?(known|valid|listed)|n[o']t have an?)"
    r"|account (has been |is )?closed|(not an?|no) (known |valid |local |such )*(user|mail ?box|recipient|account)\b"
    r"|unbekannt|existiert nicht|inconnu|n'existe pas|desconocid|no existe|sconosciut|non esiste|onbekend"
    r"|bestaat niet)"
)
_RECIPIENT = (
    r"recipient.{0,60}(not (want|accept|allow)|only|restrict|polic|refus|reject|denied|block)|by (the |this )?recipient"
    r"|accepts? .{0,20}only|only accepts?|members only|moderat"
    r"|not .{0,20}(allowed|permitted|authori[sz]ed|authenticated).{0,40}(group|list|recipient|mail ?box|user)"
)
_REPUTATION = (
    r"\b(spf|dkim|dmarc)\b|reputation|\bips?\b|client host.{0,30}(block|list)|outbound ?spam|outgoing|banned"
    r"|\b(dns[bw]l|rbl|spamhaus|barracuda|spamcop|sorbs|senderscore)\b"
    r"|your (network|host|server|domain|organi[sz]ation)\b|sending (host|server|domain|network)"
)
_LISTED = r"(black|block|deny|reject)[ -]?list|\bblock(ed|ing)?\b|\bspam|unsolicited|abus"
_CONTENT = r"\b(urls?|links?|body)\b|attachment|virus|malware|phish|infect|content|header|unsolicited|spam|message"
_HOST = r"\b(helo|ehlo)\b|fully.?qualified|reverse (dns|name|look)|\br?ptr\b|(find|your|no) .{0,20}host ?name"
_LOGIN = (
    r"rcpthosts|local user only|not relay|open relay|authentication .{0,10}(required|needed)|\bauth\b"
    r"|must .{0,10}authenticat|credential|password"
    r"|relay.{0,30}(denied|not|prohibit|refus|reject|disallow)|(not|unable|denied|refus|prohibit|disallow).{0,30}relay"
)
_SENDER = r"sender|send.?as\b|on behalf|from address|return path|not owned by|\btls\b|starttls"

C = ReplyClass
# fmt: off
RULES: tuple[Rule, ...] = (
    # HTTP
    Rule(_POST, "410", _ANY, "", C.RECIPIENT_GONE, "RFC 9110, 15.5.11: gone"),
    Rule(HTTP, "429", _ANY, "", C.SENDER_QUOTA, "RFC 6585, 4: too many requests"),
    Rule(HTTP, "40[137]", _ANY, "", C.LOGIN, "RFC 9110, 15.5: credentials missing or not enough"),
    Rule(HTTP, "400|413|414|422|431|451", _ANY, "", C.CONTENT, "RFC 9110, 15.5: this request"),
    Rule(HTTP, r"408|409|425|5\d\d", _ANY, "", C.SERVER, "RFC 9110, 15.5.9, 15.5.10, 15.6; RFC 8470, 5.2"),
    Rule(HTTP, _ANY, _ANY, "", C.CONFIGURATION, "RFC 9110, 15.4 and 15.5: the URL takes no such request"),

    # Decided by the enhanced code, or by a code that has one meaning
    Rule(_SMTP, _4XX, _ANY, r"\bgr[ae]y|not yet authori|first (time|contact)", C.GREYLIST,
         "RFC 6647; postgrey, rspamd, greylistd"),
    Rule(_SMTP, _4XX, r"1\.[78]", r"in progress|temporar", C.SERVER, "Postfix: address verification"),
    Rule(_RCPT, _5XX, r"4\.1", r"recipient address.{0,20} rejected.{0,3}: access denied.*as\(201806281",
         C.RECIPIENT_GONE, "Exchange Online: directory-based edge blocking"),
    Rule(_SMTP, _4XX, r"3\.[^2].*", "", C.SERVER, "RFC 3463, X.3.x: mail system"),
    Rule(_SMTP, _ANY, r"|2\..*", r"submission ?quota|(daily|hourly|sending|sender|relay).{0,40}(quota|limit)",
         C.SENDER_QUOTA, "Exchange: SubmissionQuotaExceeded, 5.2.2 or 5.2.0"),
    Rule(_LATE, _ANY, r"2\.2", "", C.MAILBOX_FULL, "RFC 3463, X.2.2"),
    Rule(_LATE, _4XX, r"2\..*", "", C.SERVER, "RFC 3463, X.2.x; Gmail 4.2.1: this recipient gets mail too fast"),
    Rule(_LATE, _5XX, r"2\.(1|12[12])", r"receiv.*(rate|too|limit)|limit.*receiv", C.MAILBOX_FULL,
         "Gmail 5.2.1, Exchange 5.2.121 and 5.2.122: this recipient gets too much mail for now"),
    Rule(_LATE, _5XX, r"1\.1|2\.1", _FULL, C.MAILBOX_FULL, "the words are clearer than the code"),
    Rule(_LATE, _5XX, r"1\.([1236]|10)|2\.1", _NOT_THE_RECIPIENT, C.RECIPIENT_GONE,
         "RFC 3463, X.1.x and X.2.1; RFC 7505"),
    Rule(_LATE, "551|556", r"|[15]\..*", r"^(?!.*(relay|block))", C.RECIPIENT_GONE, "RFC 5321: 551; RFC 7504: 556"),
    Rule(_SMTP, _5XX, r"2\.3|3\.4", "", C.CONTENT, "RFC 3463, X.2.3 and X.3.4: size"),
    Rule(_LATE, _5XX, r"7\.(2|1[278]|1[23]\d|50[47]|513)", "", C.RECIPIENT_POLICY,
         "RFC 3463, X.7.2; RFC 7293; Exchange 5.7.12, 5.7.12x, 5.7.13x, 5.7.504, .507, .513"),
    Rule(_SMTP, _ANY, r"1\.8", "outbound", C.SENDER_REPUTATION, "Exchange 5.1.8: restricted sender"),
    Rule(_SMTP, _5XX, r"7\.(2[0-46-8]|30|50[1-3]|509|51[01]|[67]\d\d)", "", C.SENDER_REPUTATION,
         "RFC 7372; Gmail 5.7.26 to 5.7.30; Exchange 5.7.50x, 5.7.6xx, 5.7.7xx"),
    Rule(_SMTP, _4XX, r"7\.(28|6\d\d)", "", C.SENDER_REPUTATION, "Gmail 4.7.28; Outlook.com 4.7.65x"),
    Rule(_SMTP, _ANY, r"4\.5|5\.3|1\.90|7\.23[23]|7\.508", "", C.SENDER_QUOTA,
         "RFC 3463, X.4.5 and X.5.3; Gmail 5.4.5; Exchange 5.1.90, 5.7.23x, 5.7.508"),
    Rule(_SMTP, _4XX, r"7\.5\d\d", "", C.SENDER_QUOTA, "Exchange 4.7.500: server busy"),
    Rule(_SMTP, _ANY, r"1\.[789]|2\.252|7\.(25|29|60|506|520)", "", C.CONFIGURATION,
         "RFC 3463, X.1.7 and X.1.8; RFC 7372, X.7.25; Exchange 5.2.252, 5.7.60"),
    Rule(_NOT_END, _5XX, r"7\.([389]|1[0134])", "", C.LOGIN, "RFC 4954, 6; RFC 5248"),
    Rule(_SMTP, _5XX, r"7\.(54|57|64)", "", C.LOGIN, "Exchange: relaying, anonymous clients"),
    Rule(_EARLY, "521", _ANY, "", C.CONFIGURATION, "RFC 7504: the host takes no mail"),
    Rule(_SMTP, "53[0458]", _ANY, "", C.LOGIN, "RFC 4954, 6"),
    Rule(_SMTP, _5XX, r"6\..*", "", C.CONTENT, "RFC 3463, X.6.x: content or media"),

    # Decided by words
    Rule(_SMTP, _5XX, r"(?!7).*", _TOO_BIG, C.CONTENT, "RFC 5321, 4.5.3.1; RFC 1870"),
    Rule(_SMTP, _4XX, _ANY, r"system.{0,20}storage", C.SERVER, "RFC 5321: 452 insufficient system storage"),
    Rule(_SMTP, _ANY, _ANY, _QUOTA, C.SENDER_QUOTA, "Gmail, SES, SendGrid, cPanel, policyd: limits of the sender"),
    Rule(_LATE, _ANY, _ANY, _FULL, C.MAILBOX_FULL, "RFC 5321: 552 exceeded storage allocation"),
    Rule(_LATE, "552", _NONE, "", C.MAILBOX_FULL, "RFC 5321: 552"),
    Rule(_MAIL, "552|523", _ANY, "", C.CONTENT, "RFC 1870, 6.1: declared size"),
    Rule(_EARLY, _ANY, _ANY, r"quota|limit", C.SENDER_QUOTA, "SendGrid, SES: before a recipient is named"),
    Rule(_LATE - {Stage.DATA}, _5XX, r"|[0135]\.0|1\.[45]|7\.1", _GONE, C.RECIPIENT_GONE,
         "RFC 5321: 550 no such user here"),
    Rule(_RCPT, _5XX, r"7\.1", r"resolver\.rst\.notauthori|transport\.rules", C.RECIPIENT_POLICY,
         "Exchange: restrictions and rules of the recipient's organisation"),
    Rule(_SMTP, _ANY, _ANY, _HOST, C.CONFIGURATION, "Postfix: HELO and client host checks"),
    Rule(_SMTP, _ANY, _ANY, _REPUTATION, C.SENDER_REPUTATION, "Gmail, Outlook.com, Cisco, Postfix: the sender"),
    Rule(_END, _5XX, _ANY, r"not verified|not authori[sz]ed to perform|send.?as\b|on behalf of"
         r"|sending (is )?(paused|disabled|suspended)", C.CONFIGURATION, "SES: identity not verified, sending paused"),
    Rule(_END, _5XX, r"|[057]\..*", _CONTENT, C.CONTENT, "Gmail, rspamd, ClamAV: this message"),
    Rule(_SMTP, _5XX, _ANY, _LOGIN, C.LOGIN, "Exim, Postfix: relaying; RFC 4954, 6"),
    Rule(_RCPT, _4XX, _ANY, r"^(?!.*temporar).*(relay.{0,20}denied|unable to relay)", C.LOGIN, "Postfix 454 4.7.1"),
    Rule(_LATE, _5XX, _ANY, _RECIPIENT, C.RECIPIENT_POLICY, "RFC 3463, X.7.1: the recipient's restrictions"),
    Rule(_SMTP, _5XX, _ANY, r"authenticat|log.?in", C.LOGIN, "RFC 4954, 6"),
    Rule(_SMTP, _5XX, _ANY, _SENDER, C.CONFIGURATION, "Exim, Postfix: sender checks"),
    Rule(_NOT_END, _ANY, _ANY, _LISTED, C.SENDER_REPUTATION, "refused before the content was seen"),

    # The rest
    Rule(_SMTP, _4XX, _ANY, "", C.SERVER, "RFC 5321, 4.2.1: 4yz"),
    Rule(_RCPT, "553", r"|1\..*", rf"{_NOT_THE_RECIPIENT}.*(mail ?box|(?<!local )user|recipient|address)",
         C.RECIPIENT_GONE, "RFC 5321: 553 mailbox name not allowed"),
    Rule(_LATE, _5XX, r"[12]\..*", "", C.RECIPIENT_POLICY, "RFC 3463, X.1.x and X.2.x"),
    Rule(_SMTP, _5XX, r"[34]\..*", "", C.SERVER, "RFC 3463, X.3.x and X.4.x: mail system, network"),
    Rule(_AUTH, _5XX, _ANY, "", C.LOGIN, "RFC 4954, 6"),
    Rule(_END, _5XX, _ANY, "", C.CONTENT, "RFC 5321: refused after its content"),
    Rule(_RCPT, _5XX, _NONE, r"valid recipient", C.CONFIGURATION, "Postfix: DATA without recipients"),
    Rule(_RCPT, r"50\d|521|555", _ANY, "", C.CONFIGURATION, "RFC 5321: protocol"),
    Rule(_RCPT, _5XX, r"5\..*", "", C.CONFIGURATION, "RFC 3463, X.5.x: protocol"),
    Rule(_RCPT, _5XX, r"7\..*", "", C.SENDER_REPUTATION, "RFC 3463, X.7.x: policy, before the content was seen"),
    Rule(_RCPT, _5XX, _ANY, "", C.RECIPIENT_POLICY, "RFC 5321: 550 for policy reasons; never suppressed on a guess"),
    Rule(_EARLY, _5XX, _ANY, "", C.CONFIGURATION, "before a recipient is named it cannot be the recipient's fault"),
)
# fmt: on
