"""What the words of a table mean: scales, yes and no, what stands for missing, and what columns are called."""

import re

# fmt: off
AGE = re.compile(
    r"age|age[_ .]?(y|yrs?|years?|in[_ .]years|baseline)|ridageyr|"
    r"age[_ .]?at[_ .]?(visit|baseline|exam\w*|recruitment|enrol\w*|interview|survey|screening|entry|assessment)|"
    r"年齢|年令|(age|年齢|年令)\s*[\[((].*", re.I
)
SEX = re.compile(r"(sex|gender|male|female|sex[_ .]?(at[_ .]birth|code)|riagendr|性別)(\s*[\[((].*)?", re.I)
SEX_WORDS = {"1": "male", "m": "male", "male": "male", "man": "male", "男": "male", "男性": "male",
             "2": "female", "f": "female", "female": "female", "woman": "female", "女": "female", "女性": "female"}
BIRTH = re.compile(
    r"(.*[_ .])?(birth|birth[_ .]?da(y|te)|dob|d\.o\.b\.?|date[_ .]?of[_ .]?birth|b_?day)([_ .]?(date|day|ymd))?|"
    r".*(生年月日|出生年月日|出生日|誕生日).*", re.I
)
# Columns that tell who somebody is.
PRIVATE = re.compile(
    r".*(e-?mail|phone|postal|post_?code|zip_?code|address|surname|(first|last|full|family|given)_?name|"
    r"氏名|姓名|住所|電話|郵便番号|メール).*", re.I
)
NO = ("no", "n", "false", "f", "absent", "negative", "neg", "control", "unaffected", "-", "(-)", "never", "not done",
      "なし", "無", "無し", "いいえ", "ない", "陰性", "非該当", "未", "不可", "異常なし")
YES = ("yes", "y", "true", "t", "present", "positive", "pos", "case", "affected", "+", "(+)", "ever", "done",
       "あり", "有", "有り", "はい", "ある", "陽性", "該当", "済", "可", "異常あり")

# Words that stand for missing, by reason; compared without case and without a number before or after them.
MISSING_WORDS = {
    word: reason
    for reason, listed in {
        "refused": "refused|refuse|refusal|refused to answer|declined|declined to answer|decline to answer|"
        "prefer not to answer|prefer not to say|prefer not say|拒否|回答拒否|回答したくない|答えたくない|言いたくない",
        "unknown": "unknown|don't know|don’t know|dont know|do not know|dk|dk/na|don't know/not sure|not sure|unsure|"
        "no answer|no response|non-response|not ascertained|not stated|missing|missing value|#n/a|?|"
        "can't remember|cannot remember|can't choose|hard to say|"
        "不明|わからない|分からない|わかりません|不詳|無回答|未回答|回答なし|無記入|未記入|欠損|欠測|覚えていない",
        "not measured": "not measured|not done|not tested|not performed|not collected|not available|"
        "unable to measure|insufficient|insufficient sample|qns|hemolyzed|haemolysed|sample lost|test not done|"
        "未測定|測定せず|測定不能|測定不可|未検査|未実施|検査せず|検体不足|検体なし|溶血",
        "not asked": "not asked|not applicable|inapplicable|n/a (not applicable)|skip|skipped|skip pattern|"
        "legitimate skip|not eligible|対象外|質問なし|非対象",
    }.items()
    for word in listed.split("|")
}
BELOW_WORDS = ("below limit", "below detection limit", "below detection", "below lod", "<lod", "lod", "bdl", "blod",
               "<loq", "loq", "blq", "bloq", "nd", "n.d.", "not detected", "not detectable", "undetectable",
               "検出限界以下", "検出限界未満", "検出せず", "検出されず", "感度以下", "測定限界以下", "測定感度以下")

# What a name says about whole numbers: a count, a code without order, or a rating.
COUNTED = re.compile(
    r"(.*[_ .\-])?(num|number|n|count|times|days?|hours?|hrs|minutes|mins?|months|weeks|years?|yrs|visits?|doses|"
    r"size|children|kids|siblings|pregnanc(y|ies)|births|drinks|cigs?|cigarettes|cups|glasses|servings|teeth|falls|"
    r"persons|people|members|rooms|cars)([_ .\-].*)?|.*(cigs?per|per_?(day|week|month|year)|perday|howmany|how_many).*|"
    r".*(人数|回数|本数|個数|日数|年数|時間|分数|杯数|枚数|歯数|何回|何人|何日|何本|何杯)(\W.*)?", re.I
)
UNORDERED = re.compile(
    r"(.*[_ .\-])?(region|area|district|prefecture|race|ethnic\w*|raceeth|occupation|job|industry|marital\w*|religion|"
    r"denomination|country|nation\w*|site|cent(er|re)|clinic|hospital_?(code|id)|group|type|kind|cause|reason|"
    r"language|cluster|batch|plate|party|dwelling|housing|colou?r|arm|treatment|provider|month_?of_?birth)"
    r"([_ .\-]?(code|cd|cat|\d*))?|.*(職業|職種|地域|地区|都道府県|人種|婚姻|結婚|施設|会場|理由|種類|宗教|住居|"
    r"血液型).*",
    re.I,
)
RATED = re.compile(
    r"(.*[_ .\-])?(stage|grade|level|class|scale|likert|freq\w*|satisf\w*|pain|severity|rating|quality|status|"
    r"agree\w*|trust\w*|importan\w*|health|education|educ|happy|happiness|stress|difficulty|interest|vas|nrs)"
    r"([_ .\-].*)?|.*(程度|頻度|段階|評価|満足|重症度|グレード|健康感|学歴|ストレス|痛み)(\W.*)?", re.I
)

# Groups by name, the first that fits; a name is looked at whole and in its words.
GROUPS = tuple(
    (group, re.compile(pattern, re.I))
    for group, pattern in (
        ("metabolome",
         r"(alanine|arginine|asparagine|aspartate|glutamate|glutamine|glycine|histidine|(iso)?leucine|lysine|"
         r"methionine|ornithine|phenylalanine|proline|serine|threonine|tryptophan|tyrosine|valine|citrulline|taurine|"
         r"sarcosine|betaine|choline|carnitine|acetate|citrate|lactate|pyruvate|succinate|fumarate|malate|"
         r"(hydroxy|keto)\w*ate|kynuren\w+|\w*carnitine|acylcarnitine|spermi(di)?ne|hypoxanthine|inosine)"
         r"|(lyso)?p[ceigsa][ _.]?(aa|ae|a|e|o|p)?[ _.(-]*\w*\d+:\d+.*|(cer|sm|tg|dg|ce|hexcer|lpc|lpe|fa|tag|dag)"
         r"[ _.(]*\w*\d+[:_]\d+.*|c\d{1,2}([:_.]\d.*)?[-_ ]?(carnitine|dc|oh)|metabolite.*|"
         r".*(メタボ|代謝物|アミノ酸|バリン|ロイシン|アラニン|グリシン|チロシン|グルタミン|カルニチン|乳酸|酢酸|クエン酸)"),
        ("blood chemistry",
         r"hba1c|a1c|hb_?a1c|(fasting|plasma|blood|serum|casual)?_?(glucose|sugar)|glu|fpg|fbs|bs|ldl(_?c)?|hdl(_?c)?|"
         r"(tot(al)?_?)?chol(esterol)?|tc|t_?cho|tchol|totchol|trig(lyceride)?s?|tg|tri|vldl|non_?hdl|apo_?[ab]\d?|"
         r"lp_?a|ast|got|alt|gpt|ggt|gamma_?gtp?|alp|ldh|ck|cpk|cpk?_?mb|che|alb(umin)?|tp|total_?protein|protein|"
         r"(t_?|d_?|total_?|direct_?)?bil(i|irubin)?|crea(tinine)?|cre|cr|egfr|gfr|cystatin_?c?|bun|urea(_?n)?|"
         r"ua|uric_?acid|urate|na|sodium|sod|k|potassium|pot|cl|chloride|ca|calcium|phosph\w*|mg|magnesium|"
         r"fe|iron|tibc|uibc|ferritin|transferrin|crp|hs_?crp|c_?reactive_?protein|esr|wbc|wblc|rbc|hgb|hb|"
         r"h(a?emoglobin)|hct|ht|h(a?ematocrit)|mcv|mch|mchc|rdw|plt|platelets?|neut\w*|lymph\w*|mono(cytes)?|"
         r"eos\w*|baso\w*|insulin|homa\w*|c_?peptide|tsh|f?t[34]|ft[34]|psa|cea|afp|ca\d+(_?\d)?|bnp|nt_?probnp|"
         r"troponin\w*|d_?dimer|fibrinogen|inr|pt|aptt|vit(amin)?_?\w+|folate|b12|cortisol|testosterone|"
         r"estradiol|lead|cadmium|mercury|cotinine|adiponectin|leptin|pafi|ph|"
         r".*(血糖|グルコース|コレステロール|中性脂肪|トリグリセ|尿酸|クレアチニン|尿素窒素|アルブミン|総蛋白|総タンパク|"
         r"ビリルビン|ヘモグロビン|ヘマトクリット|白血球|赤血球|血小板|反応性|ナトリウム|カリウム|クロール|カルシウム|"
         r"フェリチン|インスリン|血清|血色素|γ-?gtp|鉄)"),
        ("physiology",
         r"(body_?)?height|ht_?cm|stature|(body_?)?weight|wt_?kg|bmi|bmxbmi|waist\w*|hip\w*|whr|"
         r"(mean_?)?(sbp|dbp|bp|(sys|dia)(tolic|stolic)?)(_?(blood_?pressure|bp)\w*)?|sysbp|diabp|meanbp|map|pulse\w*|"
         r"heart_?rate|hr|hrt|resp(iration|iratory)?(_?rate)?|temp\w*|spo2|grip\w*|(hand)?grip_?strength|bmd|bone_?(mineral_?)?density|"
         r"fev_?1\w*|fvc\w*|pef\w*|vital_?capacity|body_?fat\w*|fat_?mass|lean_?mass|muscle_?mass|skinfold\w*|abi|pwv|"
         r"imt|iop|visual_?acuity|hearing\w*|gait_?speed|walking_?speed|chair_?stand\w*|qtc?|ecg\w*|"
         r".*(身長|体重|腹囲|胸囲|血圧|脈拍|心拍|体温|握力|骨密度|肺活量|体脂肪|筋肉量|視力|聴力|眼圧|1秒量|一秒量|歩行速度)"),
    )
)
# A word of the lower item's name, and that of the higher one.
DIRECTIONS = (
    ("diastolic", "systolic"), ("dbp", "sbp"), ("dia", "sys"), ("拡張期", "収縮期"), ("最低", "最高"), ("下", "上"),
    ("最小", "最大"), ("minimum", "maximum"), ("min", "max"), ("lowest", "highest"), ("lower", "upper"),
    ("hdl", "total"), ("ldl", "total"), ("hdl", "tot"), ("hdl_c", "tc"), ("hdl", "tc"), ("hdl", "総"), ("ldl", "総"),
    ("fev1", "fvc"), ("start", "end"), ("begin", "end"), ("first", "last"), ("birth", "death"), ("entry", "exit"),
    ("admission", "discharge"), ("開始", "終了"), ("入院", "退院"),
)
UNIT = re.compile(
    r"(?:^|[_ \[((])(%|percent|kg/m\^?2|kg/m²|g/cm\^?[23]|g/cm²|mm ?hg|mg/d[lL]|g/d[lL]|g/[lL]|mg/[lL]|[uµμ]g/m?[dlL]+|"
    r"ng/m?[dlL]+|pg/m[lL]|[mµμun]?mol/[lL]|m?i?u/m?[lL]|meq/[lL]|f[lL]|pg|kg|cm|mm|bpm|/min|1/min|km/h|m/s|kcal|"
    r"hours?|min(?:utes)?|days?|years?|℃|°c|歳|回/分|本/日|時間|分|[mM][lL]|[lL]|g|m)(?:[\]))]|$)", re.I
)
# Scales in increasing order; words of one rank are joined by |. An item is ordinal when one scale has all its words.
SCALES = tuple(
    tuple(rank.split("|") for rank in scale.split(" < "))
    for scale in (
        "never|never smoker|non-smoker|nonsmoker|never drinker"
        " < former|past|ex|ex-smoker|former smoker|quit|former drinker"
        " < current|current smoker|smoker|present|current drinker",
        "never|none|not at all < almost never|very rarely < rarely|seldom < occasionally|sometimes|now and then"
        " < often|frequently < most of the time|usually|very often|mostly|almost always < always|every day|daily",
        "very poor|very bad|terrible < poor|bad < fair|average|neutral|ok < good < very good < excellent",
        "lowest < very low < low < marginal|medium|moderate|middle|normal|average|mid"
        " < high|full < very high < highest",
        "none|no|normal < minimal|trace|very mild < mild|slight < moderate < moderately severe < severe"
        " < very severe|extreme",
        "not at all < slightly|a little|a little bit|several days < somewhat|moderately"
        " < very|quite a bit|quite a lot|more than half the days < extremely|very much|nearly every day",
        "strongly disagree < disagree < neutral|neither|undecided < agree < strongly agree",
        "very dissatisfied < dissatisfied < neutral|neither < satisfied < very satisfied",
        "less|lower|decreased|worse < same|about the same|unchanged < more|higher|increased|better",
        "tiny < small < medium < large < very large",
        "i|ia|ib < ii|iia|iib < iii|iiia|iiib < iv|v",
        "--|- |-|(-)|negative|neg < ±|+-|+/-|(±)|trace < +|1+|(+)|(1+) < ++|2+|(2+) < +++|3+|(3+) < ++++|4+|(4+)",
        "none|no schooling < less than 9th grade|primary|elementary|elementary school"
        " < 9th - 11th grade|some high school|"
        "junior high school|middle school < high school|high school grad|high school graduate|hs|hs grad|ged|secondary"
        " < some college|some college / aa|associate|associate degree|vocational|junior college"
        " < college|college grad|college graduate|bachelor|university|tertiary"
        " < graduate school|master|postgraduate < phd|doctorate",
        "なし|吸わない|非喫煙|飲まない|吸ったことがない < 過去喫煙|以前吸っていた|やめた|過去に飲酒|以前飲んでいた"
        " < 現在喫煙|吸っている|現在飲酒|飲んでいる",
        "全くない|まったくない|ない < ほとんどない|めったにない < 時々|ときどき|たまに"
        " < よくある|しばしば|ほぼ毎日 < いつも|毎日|常に",
        "よくない|悪い < あまりよくない|やや悪い < ふつう|普通 < まあよい|やや良い < よい|良い < とてもよい|非常に良い",
        "低い|少ない < やや低い|やや少ない < ふつう|普通 < やや高い|やや多い < 高い|多い",
        "routine|regular routine < soon|see dentist soon < urgent|urgently|see dentist urgently",
        "strongly disagree|disagree strongly|completely disagree|totally disagree < disagree|mostly disagree"
        " < somewhat disagree|slightly disagree|tend to disagree"
        " < neutral|neither|undecided|neither agree nor disagree|neither disagree nor agree"
        " < somewhat agree|slightly agree|tend to agree < agree|mostly agree"
        " < strongly agree|agree strongly|completely agree|totally agree",
        "very unsatisfied|very dissatisfied < dissatisfied|unsatisfied < neutral|neither < satisfied < very satisfied",
        "not important|not at all important|unimportant < slightly important < somewhat important|moderately important"
        " < important < very important < extremely important",
        "very unlikely|extremely unlikely < unlikely|somewhat unlikely < neutral < likely|somewhat likely"
        " < very likely|extremely likely",
        "very difficult < difficult|fairly difficult < neither < easy|fairly easy < very easy",
        "first|1st < second|2nd < third|3rd < fourth|4th < fifth|5th",
        "q1 < q2 < q3 < q4 < q5",
        "t1 < t2 < t3 < t4",
        "n0 < n1 < n2 < n3",
        "全くあてはまらない|まったくあてはまらない|全く当てはまらない|まったく当てはまらない"
        " < あまりあてはまらない|あまり当てはまらない < どちらともいえない|どちらでもない"
        " < ややあてはまる|やや当てはまる|まああてはまる < あてはまる|当てはまる"
        " < とてもあてはまる|よくあてはまる|非常にあてはまる|よく当てはまる|非常に当てはまる",
        "全くそう思わない|まったくそう思わない < そう思わない|思わない < あまりそう思わない|あまり思わない"
        " < どちらともいえない|どちらでもない < ややそう思う|まあそう思う < そう思う|思う"
        " < とてもそう思う|非常にそう思う|強くそう思う",
        "非常に不満|とても不満 < 不満 < やや不満 < どちらともいえない|ふつう|普通 < やや満足|まあ満足 < 満足"
        " < 非常に満足|とても満足",
        "全くない|まったくない|なし|ない < ほとんどない|めったにない|まれ < 少し|少しある|たまに|たまにある"
        " < 時々|ときどき|時々ある|ときどきある < よくある|しばしば|しばしばある < ほとんどいつも|ほぼ毎日|ほぼいつも"
        " < いつも|毎日|常に|いつもある",
        "なし|異常なし|正常 < 軽度|軽症|軽い < 中等度|中程度|中等症 < 重度|高度|重症|重い",
        "よくない|悪い < あまりよくない|あまり良くない|やや悪い < ふつう|普通 < まあよい|まあ良い|やや良い"
        " < よい|良い < とてもよい|とても良い|非常に良い|最高によい|最高に良い",
        "小学校|中学校|小学校・中学校|中卒 < 高校|高等学校|高卒"
        " < 専門学校|短大|短大・専門学校|専門学校・短大|短期大学|高専|短大・高専"
        " < 大学|大卒|四年制大学|大学・大学院 < 大学院",
        "小さい|短い|遅い < やや小さい|やや短い|やや遅い < ふつう|普通"
        " < やや大きい|やや長い|やや速い < 大きい|長い|速い",
        "薄い < やや薄い|薄味 < ふつう|普通 < やや濃い < 濃い|濃い味",
    )
)
# fmt: on
