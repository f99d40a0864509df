"""Values planted at known places of made-up texts, in many scripts: what grounding is measured and tested on."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["DRESSES", "SCRIPTS", "Planted", "plant", "slips"]


class Planted(NamedTuple):
    """A text, a value, and the span at which the value stands in it; None where it stands nowhere."""

    script: str
    dress: str
    text: str
    value: str
    span: tuple[int, int] | None


# Words of each script; those without blanks between words are joined without.
_WORDS = """
Latin: façade über naïve Straße crème señor œuvre año maïs Händler São dvořák Łódź élève garçon Åland très
    köttbullar niño Übung señal Müller brûlée café zażółć gęślą jaźń très âgé Provençal Čapek
Cyrillic: договор поставки между сторонами заключён сегодня покупатель обязуется оплатить товар чайник ёлка
    съезд подъём йогурт район большой объём въезд семья статья любовь площадь ночь речь печь
Greek: συμφωνία μεταξύ των μερών αγοραστής πωλητής τιμή ημερομηνία παράδοση εγγύηση υπογραφή χώρα ποσότητα
    έγγραφο όροι πληρωμής διεύθυνση ταχυδρομικός κώδικας οδός Αθήνα λογαριασμός
Chinese: 合同 双方 买方 卖方 价格 日期 交货 保证 签名 国家 数量 文件 条款 付款 地址 邮政 编码 街道 北京 账户
    公司 有限 责任 电话 号码 产品 名称 规格 单价 总额
Japanese: 契約 売主 買主 ガラス 価格 日付 お届け 保証 サイン バッグ 数量 書類 支払い 住所 ポスト 東京都
    プリンター 会社 でんわ パソコン ぶどう 製品 名前 じゃがいも 合計 ございます
Korean: 계약 판매자 구매자 가격 날짜 배송 보증 서명 나라 수량 서류 조건 지불 주소 우편 번호 거리 서울 계좌
    회사 전화 제품 이름 규격 단가 총액 값 닭갈비
Arabic: عقد البيع بين الطرفين المشتري البائع السعر التاريخ التسليم الضمان التوقيع الدولة الكمية الوثيقة
    الشروط الدفع العنوان البريد الرمز الشارع القاهرة الحساب الشركة الهاتف المنتج
Hebrew: חוזה מכירה בין הצדדים קונה מוכר מחיר תאריך משלוח אחריות חתימה מדינה כמות מסמך תנאים תשלום כתובת דואר
    מיקוד רחוב ירושלים חשבון חברה טלפון מוצר
Devanagari: अनुबंध विक्रेता क्रेता मूल्य दिनांक वितरण गारंटी हस्ताक्षर देश मात्रा दस्तावेज़ शर्तें भुगतान
    पता डाक सड़क दिल्ली खाता कंपनी फ़ोन उत्पाद नाम ज़िला कुल राशि
Thai: สัญญา ผู้ขาย ผู้ซื้อ ราคา วันที่ จัดส่ง รับประกัน ลายเซ็น ประเทศ จำนวน เอกสาร เงื่อนไข ชำระเงิน
    ที่อยู่ ไปรษณีย์ ถนน กรุงเทพ บัญชี บริษัท โทรศัพท์ สินค้า ชื่อ
Tamil: ஒப்பந்தம் விற்பனையாளர் வாங்குபவர் விலை தேதி விநியோகம் உத்தரவாதம் கையொப்பம் நாடு அளவு ஆவணம்
    நிபந்தனைகள் கட்டணம் முகவரி அஞ்சல் தெரு சென்னை கணக்கு நிறுவனம் தொலைபேசி
Bengali: চুক্তি বিক্রেতা ক্রেতা মূল্য তারিখ বিতরণ গ্যারান্টি স্বাক্ষর দেশ পরিমাণ দলিল শর্তাবলী পরিশোধ ঠিকানা
    ডাক রাস্তা ঢাকা হিসাব কোম্পানি ফোন পণ্য বাড়ি বড়
emoji: 🎉 party 👩‍💻 dev 🇩🇪 Berlin 👍🏽 thumbs ❤️ love 🏳️‍🌈 pride 🧑🏿‍🚀 space ☕️ coffee 🍜 ramen
    👨‍👩‍👧‍👦 family 🇫🇷 Paris 1️⃣ first 🐍 snake 🌍 world 🔥 hot
"""
SCRIPTS = {name: words.split() for name, words in re.findall(r"^(\w+):((?:.|\n )+)", _WORDS, re.MULTILINE)}
_JOINED = ("Chinese", "Japanese", "Thai")
_CASED = ("Latin", "Cyrillic", "Greek", "emoji")
_PUNCTUATION = {"Chinese": "。，、", "Japanese": "。、", "Arabic": ".،؛", "Devanagari": "।,", "Bengali": "।,"}
_SOFT_HYPHEN, _NO_WIDTH = "\u00ad", "\u200b"


def _plain(value: str, _rng: random.Random) -> str:
    return value


def _broken(value: str, rng: random.Random) -> str:
    """A line break in place of a blank, with the indent of the next line; inside a word where there is no blank."""
    blanks = [place for place, char in enumerate(value) if char == " "]
    if blanks:
        place = rng.choice(blanks)
        return value[:place] + rng.choice(["\n", "\r\n", " \n   "]) + value[place + 1 :]
    return _cut(value, rng, "\n")


def _soft(value: str, rng: random.Random) -> str:
    return _cut(value, rng, _SOFT_HYPHEN)


def _no_width(value: str, rng: random.Random) -> str:
    return _cut(value, rng, _NO_WIDTH)


def _decomposed(value: str, _rng: random.Random) -> str:
    return unicodedata.normalize("NFD", value)


def _composed(value: str, _rng: random.Random) -> str:
    return unicodedata.normalize("NFC", value)


def _upper(value: str, _rng: random.Random) -> str:
    return value.upper()


def _hyphenated(value: str, rng: random.Random) -> str:
    return _cut(value, rng, "-\n")


def _spread(value: str, rng: random.Random) -> str:
    return value.replace(" ", rng.choice(["  ", "\u00a0", "\u2003", "\t"]))


DRESSES: dict[str, Callable[[str, random.Random], str]] = {
    "as it is": _plain,
    "line break": _broken,
    "soft hyphen": _soft,
    "space without width": _no_width,
    "decomposed": _decomposed,
    "composed": _composed,
    "upper case": _upper,
    "hyphenated": _hyphenated,
    "other blanks": _spread,
}


def _cut(value: str, rng: random.Random, sign: str) -> str:
    """Put a sign between two whole characters of one word."""
    places = [
        place
        for place in range(1, len(value))
        if unicodedata.category(value[place - 1])[0] in "LM"
        and unicodedata.category(value[place])[0] == "L"
        and unicodedata.combining(value[place - 1]) != 9  # not behind a virama
    ]
    if not places:
        return value
    place = rng.choice(places)
    return value[:place] + sign + value[place:]


def _phrase(words: list[str], count: int, script: str, rng: random.Random) -> str:
    return ("" if script in _JOINED else " ").join(rng.choice(words) for _ in range(count))


def _prose(words: list[str], script: str, rng: random.Random) -> str:
    signs = _PUNCTUATION.get(script, ".,;")
    blank = "" if script in _JOINED else " "
    clauses = [_phrase(words, rng.randint(2, 6), script, rng) + rng.choice(signs) for _ in range(rng.randint(4, 9))]
    return blank.join(clauses) + rng.choice(["\n", blank])


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] not in "ZPC")


def _times(value: str, text: str) -> int:
    return sum(text.startswith(value, place) for place in range(len(text)))


def plant(script: str, dress: str, *, count: int, seed: int = 0) -> Iterator[Planted]:
    """Yield texts that hold a value once, in some dress, and as many that do not hold it.

    The value stands between punctuation, so that its borders are beyond doubt in every script.
    """
    rng = random.Random(f"{seed} {script} {dress}")
    words = list(dict.fromkeys(SCRIPTS[script]))
    joint = "" if script in _JOINED else " "
    made = 0
    while made < count:
        value = _phrase(words, rng.randint(2, 4), script, rng)
        before, after = _prose(words, script, rng), _prose(words, script, rng)
        if _bare(value) in _bare(before + after):
            continue
        worn = DRESSES[dress](value, rng)
        opening = f"{before}{joint}("
        span = (len(opening), len(opening) + len(worn))
        text = f"{opening}{worn}){joint}{after}"
        if _times(_bare(value), _bare(text)) == 1:
            made += 1
            yield Planted(script, dress, text, value, span)
            yield Planted(script, "absent", before + after, value, None)


def slips(script: str, *, count: int, seed: int = 0) -> Iterator[Planted]:
    """Yield texts that hold a long value with one letter wrong, as a scanner or a model gets it."""
    rng = random.Random(f"{seed} {script} slips")
    words = [word for word in dict.fromkeys(SCRIPTS[script]) if len(word) > 1]
    letters = sorted({char for word in words for char in word if unicodedata.category(char)[0] == "L"})
    for case in plant(script, "as it is", count=count, seed=seed):
        if case.span is None or len(_bare(case.value)) < 16:
            continue
        value = f"{case.value}"
        places = [place for place in range(1, len(value) - 1) if value[place].isalpha()]
        place = rng.choice(places)
        other = rng.choice([letter for letter in letters if letter.casefold() != value[place].casefold()])
        yield case._replace(dress="slip", value=value[:place] + other + value[place + 1 :])
