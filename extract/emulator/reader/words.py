"""Words: folded, lightly stemmed, and mapped to one name per business term in seven languages."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

__all__ = [
    "CUES_OF",
    "NEGATIONS",
    "STOP",
    "features",
    "fold",
    "folded_tokens",
    "split_name",
    "stem",
    "terms",
    "terms_of",
    "tokens",
    "vocabulary",
]

SYNONYMS = """
total: sum summe 合計 総計 총액 总计 gesamt gesamtsumme endbetrag rechnungsbetrag totaal totale totales totals
subtotal: 小計 subtotaal zwischensumme subtotale
due: payable balance zahlen zahlbar zahlbetrag payer pagar pagare betalen fallig echeance vencimiento vencimento
due: scadenza
amount: 金額 betrag montant importe importo bedrag valor amt
tax: 消費税 vat moms gst sst mwst ust mehrwertsteuer umsatzsteuer steuer tva iva btw impuesto imposta taxe taxes
net: netto neto ht excluding exclusive excl imponibile nettobetrag
gross: brutto bruttobetrag ttc inclusive including incl inkl compris rounded grand nett
discount: disc rabatt remise descuento sconto desconto korting saving savings
change: wechselgeld ruckgeld rendu cambio vuelto troco wisselgeld
cash: bar especes efectivo contanti contant tendered tender paid gegeben visa mastercard deposit
rounding: rundung arrondi redondeo arrotondamento afronding adjustment adj
shipping: delivery versand lieferung livraison envio spedizione entrega verzending levering
date: 発行日 日付 datum fecha data dated
time: uhrzeit zeit heure hora ora tijd
number: n no nr num nummer numero nro id code ref reference kennung nmr
invoice: rechnung factura facture fattura fatura factuur bill receipt inv quittung recibo ricevuta beleg doc
invoice: document documento kassabon bon slip nota note 領収書 請求書 レシート
vendor: company seller merchant supplier shop store issuer firm firma lieferant verkaufer vendedor proveedor
vendor: fournisseur
vendor: vendeur fornitore venditore fornecedor leverancier verkoper bedrijf unternehmen empresa societe azienda
vendor: emisor
customer: client buyer kunde kunden kaufer cliente comprador acheteur klant koper recipient empfanger billed
customer: debtor
address: adresse anschrift direccion indirizzo endereco morada adres
phone: tel telephone mobile telefon telefono telefone telefoon fon handy telefonnummer rufnummer cell
email: mail correo courriel mails emails
url: website web site link homepage webseite internet
currency: wahrung devise moneda valuta moeda munteenheid
quantity: 数量 qty menge anzahl quantite cantidad quantita quantidade aantal pcs stk stuck units pieces qte qta
quantity: cant hoeveelheid
price: 単価 preis prix precio prezzo preco prijs rate einzelpreis stuckpreis
description: 品名 item items desc beschreibung bezeichnung designation descripcion descrizione descricao
description: omschrijving
description: artikel article articolo product produkt produit producto prodotto produto position line
name: nom nombre nome naam
confidence: probability certainty likelihood sicherheit confianza
reason: explanation rationale justification why evidence quote begrundung grund raison razon motivo motivazione
reason: reden
summary: gist abstract overview zusammenfassung resume resumen riassunto resumo samenvatting snippet
subject: betreff objet asunto oggetto assunto onderwerp title headline
"""
# Words that speak for a term without naming it; used for labels, yes/no fields and unions, never for labelled values.
CUES = """
urgent: asap immediately emergency critical now today deadline blocked dringend sofort eilig urgence
urgent: immediatement
urgent: urgente inmediatamente ya subito dringende spoed onmiddellijk quickly high
spam: free winner won win prize click claim congratulations guaranteed casino lottery bitcoin crypto viagra
spam: gratis gewonnen
spam: gagne ganado premio vinto ganhou promo discount subscribe cheap bonus followers earn unsolicited phishing
spam: scam
phishing: password verify account login suspended confirm click bank credentials passwort konto compte
phishing: contrasena senha
scam: prize won claim million inheritance transfer lottery crypto bitcoin investment guaranteed prince fee
scam: cruise
promotion: offer sale discount buy cheap deal subscribe promo followers angebot oferta offerta solde aanbieding
billing payment: invoice charge charged payment pay paid card price subscription abbuchung zahlung paiement pago
billing payment: pagamento betaling
refund: money back return reimburse ruckerstattung erstattung remboursement reembolso rimborso terugbetaling
shipping delivery: package parcel arrive delivered delivery tracking courier paket lieferung colis livraison
shipping delivery: paquete pedido pacco pakket
account: login password sign profile locked username konto passwort compte cuenta conta wachtwoord
bug technical: error crash crashes broken fails install app website fehler absturz erreur plante falla errore
bug technical: erro fout freeze exception
complaint negative: bad terrible worst hate awful poor disappointed broken unacceptable angry rude schlecht
complaint negative: mauvais malo pessimo slecht
positive praise: good great love excellent perfect thanks happy amazing wonderful danke merci gracias grazie
positive praise: obrigado bedankt gut toll super parfait bon bueno buono bom goed
cancel: stop terminate unsubscribe end kundigen stornieren annuler resilier cancelar cancelacion annullare
cancel: disdire opzeggen
question: how what when where why can wie wann comment como quando hoe
unsafe toxic: kill hate die moron trash ugly loser attack idiot stupid weapon blood nazi sex nude drugs
"""
DENYING = """
not no non never without dont doesnt isnt arent cant didnt wont unless nicht kein keine ohne pas sans sin nao sem senza
niet geen nunca
"""
FILLING = """
a an the i is my to do it of for in on and that this have be was are you me with or as at by der die das und le la les
de des du et el los las y il lo e o os het een en whether if true one any which what
"""
TOKEN = re.compile(r"[^\W\d_]+|\d+|#")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-./]+")
MARKS = re.compile(r"[\u0300-\u036f]+")
SHORT_FORMS = {
    "subtotal": r"\b(?:sub|sous)[ -]+total",
    "customer": r"\b(?:bill(?:ed)?|sold|invoiced?) to\b",
    "email": r"\be-mail",
    "no ": r"\bn[°º]",
    "": r"(?<=\w)['’](?=\w)",
}
SHORT_FORM = re.compile("|".join(f"({form})" for form in SHORT_FORMS.values()))
LONG_FORMS = tuple(SHORT_FORMS)
ENDINGS = ("ings", "ing", "ions", "ion", "edly", "ed", "ies", "es", "en", "s", "ly")


def vocabulary(words: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(words.split())


def parse_table(table: str) -> dict[str, list[str]]:
    """Return head -> words of a table written as `heads: words`; a head may have several lines."""
    found: dict[str, list[str]] = {}
    for line in filter(None, table.splitlines()):
        heads, _, words = line.partition(":")
        for head in heads.split():
            found.setdefault(head, []).extend(words.split())
    return found


def fold(text: str) -> str:
    """Return `text` in lower case without accents; with short forms such as "sub total" made one word."""
    text = text.casefold() if text.isascii() else MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return SHORT_FORM.sub(lambda match: LONG_FORMS[(match.lastindex or 1) - 1], text)


def tokens(text: str) -> list[str]:
    """Return the folded words and numbers of `text` in order."""
    return folded_tokens(fold(text))


def folded_tokens(text: str) -> list[str]:
    """Return the tokens of a folded text; scripts without blanks are cut into pairs of characters."""
    found: list[str] = []
    for word in TOKEN.findall(text):
        wide = word[0] > "\u2e7f" and len(word) > 2
        found.extend([word[i : i + 2] for i in range(len(word) - 1)] if wide else [word])
    return found


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return `word` without its most common endings, so that forms of one word meet."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and (word[-1] == "e" or word[-1] == word[-2]):
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


NEGATIONS = frozenset(map(stem, vocabulary(DENYING)))
STOP = vocabulary(FILLING)
STOP_STEMS = frozenset(map(stem, STOP))
TERM_OF = {word: head for head, words in parse_table(SYNONYMS).items() for word in (head, *words)}
LONG_WORDS = sorted((word for word in TERM_OF if len(word) >= 4), key=len, reverse=True)


@lru_cache(maxsize=65536)
def terms_of(word: str) -> tuple[str, ...]:
    """Return the terms one token stands for: its own, those of a compound's two halves, else its stem."""
    if word in TERM_OF:
        return (TERM_OF[word],)
    if word == "#":
        return ("number",)
    if len(word) >= 8:
        for first in LONG_WORDS:
            rest = word.removeprefix(first)
            if rest != word and (second := next((rest[i:] for i in range(3) if rest[i:] in TERM_OF), "")):
                return (TERM_OF[first], TERM_OF[second])
    return (stem(word),)


@lru_cache(maxsize=4096)
def terms(text: str) -> tuple[str, ...]:
    """Return the terms of `text` in order, without words that say nothing. Kept, so meant for lines, not for pages."""
    return tuple(term for word in tokens(text) if word not in STOP for term in terms_of(word))


def split_name(name: str) -> str:
    """Return a field name or label as words: `unitPrice`, `unit_price` -> "unit Price", "unit price"."""
    return " ".join(filter(None, HUMP.split(name)))


CUES_OF = {stem(head): frozenset(map(stem, words)) for head, words in parse_table(CUES).items()}


def features(text: str) -> dict[str, float]:
    """Return weighted features for comparing short texts: words, word pairs, and letter groups of telling words."""
    words = [stem(word) for word in tokens(text)]
    found: dict[str, float] = {}
    for word in words:
        found[word] = found.get(word, 0.0) + (0.2 if word in STOP_STEMS else 1.0)
    for pair in pairwise(words):
        key = " ".join(pair)
        found[key] = found.get(key, 0.0) + 0.3
    for word in words:
        framed = "" if word in STOP_STEMS else f"<{word}>"
        for key in (framed[start : start + size] for size in (3, 4) for start in range(len(framed) - size + 1)):
            found["#" + key] = found.get("#" + key, 0.0) + 0.3
    return found
