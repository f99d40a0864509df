"""Word lists of the rule reader: general business and support words, in English and some in six other languages.

Tables read `heads: words`; a head may have several lines. All words are folded: lower case, no accents.
"""

from __future__ import annotations


def vocabulary(words: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(words.split())


def table(text: str) -> dict[str, tuple[str, ...]]:
    """Return the words of each head of a table."""
    words_of: dict[str, tuple[str, ...]] = {}
    for line in filter(None, text.splitlines()):
        heads, _, words = line.partition(":")
        for head in heads.split():
            words_of[head] = (*words_of.get(head, ()), *words.split())
    return words_of


#: One name per business term, to which labels in the record and names of fields are mapped.
SYNONYMS = table("""
total: sum summe 合計 総計 총액 总计 gesamt gesamtsumme endbetrag rechnungsbetrag totaal totale totales totals
subtotal: 小計 subtotaal zwischensumme subtotale
due: payable balance zahlen zahlbar zahlbetrag payer pagar pagare betalen fallig echeance vencimiento vencimento
due: scadenza decheance falligkeit falligkeits verval
amount: 金額 betrag montant importe importo bedrag valor amt
tax: 消費税 vat moms gst sst mwst ust mehrwertsteuer umsatzsteuer steuer tva iva btw impuesto imposta taxe taxes
net: netto neto ht excluding exclusive exclusief excl imponibile imponible nettobetrag untaxed grondslag
gross: brutto bruttobetrag ttc inclusive inclusief including incl inkl compris rounded grand nett
discount: disc rabatt remise descuento sconto desconto korting saving savings
change: wechselgeld ruckgeld rendu cambio vuelto troco wisselgeld
cash: bar especes efectivo contanti contant tendered tender paid gegeben visa mastercard deposit
rounding: rundung arrondi redondeo arrotondamento afronding adjustment adj
shipping: ship delivery versand lieferung livraison envio spedizione entrega verzending levering
date: 発行日 日付 datum fecha data dated
time: uhrzeit zeit heure hora ora tijd
number: n no nr num nummer numero nro id code ref reference kennung nmr
invoice: rechnung factura facture fattura fatura factuur bill receipt inv quittung recibo ricevuta beleg doc
invoice: document documento kassabon bon slip nota note 領収書 請求書 レシート
vendor: company seller merchant supplier shop store issuer firm firma lieferant verkaufer vendedor proveedor
vendor: fournisseur vendeur fornitore venditore fornecedor leverancier verkoper bedrijf unternehmen empresa
vendor: societe azienda emisor
customer: client buyer kunde kunden kaufer cliente comprador acheteur klant koper recipient empfanger billed
customer: debtor destinatario destinataire destinatari rechnungsempfanger afnemer acquirente
address: adresse anschrift direccion indirizzo endereco morada adres
phone: tel telephone mobile telefon telefono telefone telefoon fon handy telefonnummer rufnummer cell
email: mail correo courriel mails emails
url: website web site link homepage webseite internet
currency: wahrung devise moneda valuta moeda munteenheid
quantity: 数量 qty menge anzahl quantite cantidad quantita quantidade aantal pcs stk stuck units pieces qte qta cant
quantity: hoeveelheid stuks uds unidades hrs hours stunden heures horas ore uren
price: 単価 preis prix precio prezzo preco prijs rate einzelpreis stuckpreis stuksprijs unitaire unitario pu
description: 品名 item items desc beschreibung bezeichnung designation descripcion descrizione descricao
description: leistung prestation prestations libelle concepto detalle servicio prestazione servizio dienst service
description: omschrijving artikel article articolo product produkt produit producto prodotto produto position line
name: nom nombre nome naam
bic: swift
confidence: probability certainty likelihood sicherheit confianza
reason: explanation rationale justification why evidence quote begrundung grund raison razon motivo motivazione
reason: reden
summary: gist abstract overview zusammenfassung resume resumen riassunto resumo samenvatting snippet
subject: betreff objet asunto oggetto assunto onderwerp title headline
""")

#: Words that are evidence for a label, a yes or a branch without naming it; never used to find labelled values.
CUES = table("""
urgent: asap immediately emergency critical now today deadline blocked dringend sofort eilig urgence immediatement
urgent: urgente inmediatamente ya subito dringende spoed onmiddellijk quickly high
spam: free winner won win prize click claim congratulations guaranteed casino lottery bitcoin crypto viagra gratis
spam: gewonnen gagne ganado premio vinto ganhou promo discount subscribe cheap bonus followers earn unsolicited
spam: phishing scam
phishing: password verify account login suspended confirm click bank credentials passwort konto compte contrasena
phishing: senha
scam: prize won claim million inheritance transfer lottery crypto bitcoin investment guaranteed prince fee cruise
promotion: offer sale discount buy cheap deal subscribe promo followers angebot oferta offerta solde aanbieding
billing payment: invoice charge charged payment pay paid card price subscription abbuchung zahlung paiement pago
billing payment: pagamento betaling
refund: money back return reimburse ruckerstattung erstattung remboursement reembolso rimborso terugbetaling
shipping delivery: package parcel arrive delivered delivery tracking courier paket lieferung colis livraison
shipping delivery: paquete pedido pacco pakket
account: login password sign profile locked username konto passwort compte cuenta conta wachtwoord
bug technical: error crash crashes broken fails install app website fehler absturz erreur plante falla errore erro
bug technical: fout freeze exception
complaint negative: bad terrible worst hate awful poor disappointed broken unacceptable angry rude schlecht
complaint negative: mauvais malo pessimo slecht
positive praise: good great love excellent perfect thanks happy amazing wonderful danke merci gracias grazie
positive praise: obrigado bedankt gut toll super parfait bon bueno buono bom goed
cancel: stop terminate unsubscribe end kundigen stornieren annuler resilier cancelar cancelacion annullare disdire
cancel: opzeggen
question: how what when where why can wie wann comment como quando hoe
unsafe toxic: kill hate die moron trash ugly loser attack idiot stupid weapon blood nazi sex nude drugs
""")

#: Related terms: a field is also matched, less well, by labels of these.
KIN = table("""
total: due amount
due: total amount
amount: total due price
price: amount
number: invoice
vendor: from
description: name
gross: total
net: subtotal
subtotal: net
""")

#: Month -> its names.
MONTHS = table("""
1: january januar janvier enero janeiro gennaio januari
2: february februar fevrier febrero fevereiro febbraio februari
3: march marz mars marzo marco maart mrt
4: april avril abril aprile
5: may mai mayo maio maggio mei
6: june juin junio junho giugno juni
7: july juillet julio julho luglio juli
8: august aout agosto augustus
9: september septembre septiembre setembro settembre
10: october oktober octobre octubre outubro ottobre
11: november novembre noviembre novembro
12: december dezember decembre diciembre dezembro dicembre
""")

#: Words that negate the words after them.
DENIALS = vocabulary("""
not no non never without dont doesnt isnt arent cant didnt wont unless nicht kein keine ohne pas sans sin nao
sem senza niet geen nunca
""")

#: Stop words.
STOP = vocabulary("""
a an the i is my to do it of for in on and that this have be was are you me with or as at by der die das und le
la les de des du et el los las y il lo e o os het een en whether if true one any which what
""")

#: Answers under a label of a yes-or-no field.
YES = vocabulary("yes y true ja oui si sim da 是 ✓ x")
NO = vocabulary("no n false nein non nee nao нет 否")

#: Names of labels for texts that fit no other.
UNDECIDED = vocabulary("""
other others unknown none neutral general misc unclear undetermined sonstiges autre otro altro
""")

#: First words of an instruction before a record.
ORDERS = vocabulary("""
classify classification categorize categorise extract moderate sort label tag read analyse analyze summarise
summarize find determine decide identify given please assign judge route translate evaluate parse return answer
what which klassifiziere ordne extrahiere lies classe classez extrais extrayez lisez clasifica extrae lee
classifica estrai leggi extraia leia
""")

#: Terms that make a label name another amount, date or number.
RIVALS = vocabulary("""
subtotal tax discount change cash rounding shipping quantity net due birth expiri price phone email
""")

#: Terms whose values are amounts: only labelled ones count, and those with cents first.
MONEY = vocabulary("total due amount subtotal tax net gross price discount change cash shipping")

#: Stems that mean no more than "the date of this document".
ANY_DATE = vocabulary("date time invoice issu document order purchase transaction creat receiv sent post")

#: Stems in the name of a yes-or-no field that are not its subject.
ASIDE = vocabulary("is ha need want requir wa are contain ask mention")

#: Terms that end the rows of a bill.
CLOSING = vocabulary("total subtotal tax net gross due cash change rounding phone invoice balance")

#: Words of headings, which name no firm.
HEADINGS = vocabulary("""
invoice tax simplified copy original duplicate official sale cash welcome thank you page order date number
customer statement credit note guest check pro forma delivery
""")

#: Legal forms and trades in the names of firms.
FIRM = vocabulary("""
ltd limited gmbh inc llc corp corporation company co ag kg ug ohg sa sas sarl eurl srl spa snc bv nv oy ab aps
plc llp pte pty sdn bhd berhad lda ltda eirl kft doo sro enterprise enterprises trading restaurant cafe store
stores shop mart market supermarket hotel pharmacy bakery studio group holdings industries bros hardware
""")

#: Words of addresses.
STREET = vocabulary("""
street st road rd avenue ave lane ln drive dr boulevard blvd square court way highway suite floor level building
block unit lot strasse str weg platz allee gasse rue place quai chemin calle avenida plaza paseo carrera via
viale piazza corso rua travessa praca straat laan plein jalan jln lorong taman bandar kampung box no
""")
