/* test_language.c - one sentence in each script and in the most frequent languages, and texts that are in
 * none. How often it is right is measured by tests/scenario/test_analysis.py. */
#include "route/language.c"
#include "tests/test.h"

static const char *
language(struct str text)
{
    struct features f;

    features_find(text, &f);
    return language_find(text, &f, language_script(text, &f));
}

static const struct {
    const char *code, *text;
} sentences[] = {
    { "en", "Could you please tell me where the nearest railway station is?" },
    { "de", "Können Sie mir bitte sagen, wo der nächste Bahnhof ist?" },
    { "fr", "Pouvez-vous me dire où se trouve la gare la plus proche, s'il vous plaît ?" },
    { "es", "¿Podría decirme dónde está la estación de tren más cercana, por favor?" },
    { "it", "Potrebbe dirmi dove si trova la stazione ferroviaria più vicina, per favore?" },
    { "pt", "Você poderia me dizer onde fica a estação de trem mais próxima, por favor?" },
    { "nl", "Kunt u mij alstublieft vertellen waar het dichtstbijzijnde station is?" },
    { "pl", "Czy może mi pan powiedzieć, gdzie jest najbliższy dworzec kolejowy?" },
    { "tr", "Bana en yakın tren istasyonunun nerede olduğunu söyleyebilir misiniz?" },
    { "sv", "Kan du vara snäll och berätta var den närmaste järnvägsstationen ligger?" },
    { "fi", "Hyvää huomenta! Haluaisin ostaa kaksi lippua huomiseen junaan Helsinkiin." },
    { "hu", "Meg tudná mondani, kérem, hol van a legközelebbi vasútállomás?" },
    { "vi", "Bạn có thể cho tôi biết ga tàu gần nhất ở đâu không?" },
    { "ru", "Скажите, пожалуйста, где находится ближайшая железнодорожная станция?" },
    { "uk", "Скажіть, будь ласка, де знаходиться найближча залізнична станція?" },
    { "ar", "هل يمكنك أن تخبرني أين توجد أقرب محطة قطار من فضلك؟" },
    { "fa",
        "لطفاً می‌توانید به من بگویید نزدیک‌ترین ایستگاه قطار کجاست؟" },
    { "hi", "क्या आप मुझे बता सकते हैं कि निकटतम रेलवे स्टेशन कहाँ है?" },
    { "el", "Μπορείτε να μου πείτε πού είναι ο πλησιέστερος σταθμός;" },
    { "he", "האם תוכל לומר לי היכן תחנת הרכבת הקרובה?" },
    { "zh", "请问最近的火车站在哪里？" },
    { "ja", "一番近い駅はどこにあるか教えていただけますか？" },
    { "ko", "가장 가까운 기차역이 어디에 있는지 알려주시겠어요?" },
    { "th", "ช่วยบอกฉันหน่อยได้ไหมว่าสถานีรถไฟที่ใกล้ที่สุดอยู่ที่ไหน" },
    { "ka", "შეგიძლიათ მითხრათ, სად არის უახლოესი სადგური?" },
    { "hy", "Կարո՞ղ եք ասել, թե որտեղ է մոտակա կայարանը" },
    { "bn", "আপনি কি আমাকে বলতে পারেন নিকটতম রেল স্টেশন কোথায়?" },
    { "ta", "அருகிலுள்ள ரயில் நிலையம் எங்கே என்று சொல்ல முடியுமா?" },
    { "te", "దగ్గరలోని రైల్వే స్టేషన్ ఎక్కడ ఉందో చెప్పగలరా?" },
    { "gu", "નજીકનું રેલ્વે સ્ટેશન ક્યાં છે તે મને કહી શકો?" },
    { "pa", "ਕੀ ਤੁਸੀਂ ਦੱਸ ਸਕਦੇ ਹੋ ਕਿ ਸਟੇਸ਼ਨ ਕਿੱਥੇ ਹੈ?" },
    { "kn", "ಹತ್ತಿರದ ರೈಲು ನಿಲ್ದಾಣ ಎಲ್ಲಿದೆ ಎಂದು ಹೇಳಬಹುದೇ?" },
    { "ml", "ഏറ്റവും അടുത്ത റെയിൽവേ സ്റ്റേഷൻ എവിടെയാണ്?" },
    { "or", "ନିକଟତମ ରେଳ ଷ୍ଟେସନ କେଉଁଠାରେ ଅଛି?" },
    { "si", "ළඟම දුම්රිය ස්ථානය කොහේද?" },
    { "am", "በአቅራቢያ ያለው የባቡር ጣቢያ የት ነው?" },
    { "km", "តើស្ថានីយ៍រថភ្លើងនៅឯណា?" },
    { "lo", "ສະຖານີລົດໄຟຢູ່ໃສ?" },
    { "my", "အနီးဆုံး ဘူတာရုံ ဘယ်မှာလဲ" },
    { "bo", "མེ་འཁོར་འབབ་ཚུགས་ག་པར་ཡོད།" },
};

TEST(a_sentence_in_each_script_is_recognised)
{
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        EXPECT_STR(str_c(language(str_c(sentences[i].text))), sentences[i].code);
}

TEST(each_language_of_the_table_has_a_column_and_the_rows_are_in_order)
{
    static const uint8_t scripts[] = {
#define LANGUAGE(script, code) SCRIPT_##script,
#include "route/languages.def"
#undef LANGUAGE
    };
    unsigned of_script[SCRIPT_COUNT] = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        of_script[scripts[i]]++;
        EXPECT(i == 0 || scripts[i] >= scripts[i - 1]);
        EXPECT(i < ALONE_FIRST || scripts[i] == SCRIPT_GREEK + i - ALONE_FIRST);
    }
    EXPECT(of_script[SCRIPT_LATIN] <= WEIGHTS_LANGUAGES);
    for (unsigned s = SCRIPT_LATIN + 1; s < SCRIPT_COUNT; s++)
        EXPECT(
            of_script[s] >= 1 && of_script[s] <= (language_shares(s) ? WEIGHTS_WIDE_LANGUAGES : 1));
}

TEST(a_text_without_letters_has_no_language)
{
    EXPECT_STR(str_c(language(S(""))), "");
    EXPECT_STR(str_c(language(S("12 + 30 = 42"))), "");
    EXPECT_STR(
        str_c(language(S("\xE2\x80\x94 \xE2\x86\x92 \xF0\x9F\x98\x80\xF0\x9F\x98\x80"))), "");
}

TEST(chinese_with_a_few_kana_is_japanese_and_an_instruction_in_another_script_does_not_count)
{
    EXPECT_STR(str_c(language(S("東京都の人口は約千四百万人である"))), "ja");
    EXPECT_STR(
        str_c(language(S("Translate: Скажите, пожалуйста, где находится ближайшая станция?"))),
        "ru");
}

TEST(broken_utf8_is_a_text_like_any_other)
{
    char text[512];

    for (unsigned first = 0; first < 256; first++) {
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(first + (i % 3) * 85);
        for (size_t n = 0; n < 20; n++)
            (void)language(str_make(text, n));
        (void)language(str_make(text, sizeof text));
    }
}
