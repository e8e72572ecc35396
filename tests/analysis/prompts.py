"""prompts.py - instructions as people type them to a model, written for this project, in several languages: for tasks that
no package has many of. {document}, {opinion}, {code}, {foreign} and {question} are filled with texts of corpora.py, {topic},
{thing}, {language} and {field} with words of the lists below.
"""

TOPICS = ("a lost dog", "the sea at night", "two rival bakers", "a robot that learns to paint", "autumn in a small town", "time travel",
          "a detective who is afraid of cats", "friendship", "the last library on Earth", "my grandmother's garden", "a dragon and a tax inspector",
          "space travel", "a haunted lighthouse", "the moon", "an old violin", "coffee", "a train that never stops", "winter", "a shy astronaut",
          "a football team of ghosts", "remote work", "electric bicycles", "a new vegan restaurant", "our startup for pet insurance")
THINGS = ("binary search", "a linked list", "an LRU cache", "a REST endpoint", "a login form", "a CSV parser", "a rate limiter", "a web scraper",
          "quicksort", "a thread pool", "a regular expression for dates", "a SQL query for the ten best customers", "a Dockerfile", "a unit test",
          "a React component with a table", "a bash script that renames files", "a migration that adds a column", "a priority queue")
PROGRAMMING = ("Python", "JavaScript", "C", "Go", "Rust", "Java", "C++", "SQL", "TypeScript", "Bash")
NATURAL = ("French", "German", "English", "Spanish", "Japanese", "Italian", "Portuguese", "Chinese", "Russian", "Arabic", "Dutch", "Polish",
           "Korean", "Turkish", "Swedish", "Hindi")
FIELDS = ("names of people", "dates", "e-mail addresses", "company names", "amounts of money", "locations", "product names", "key facts",
          "phone numbers", "ingredients", "skills", "deadlines", "action items", "names, dates and places", "the invoice number and the total")

PROMPTS = {
    "translate": """
Translate the following text into {language}:\\n\\n{foreign}
Translate to {language}: {foreign}
Please translate this into {language}.\\n\\n{document}
{foreign}\\n\\nTranslate the above into {language}.
How do you say "{foreign}" in {language}?
What does "{foreign}" mean in English?
Can you translate this e-mail to {language} for me?\\n{document}
Translate this sentence from {language} to English: {foreign}
I need a {language} version of this text, keep the tone formal:\\n{document}
You are a professional translator. Render the text below in natural {language}.\\n\\n{foreign}
Give me the {language} translation of: {foreign}
English to {language}: {foreign}
Convert the following paragraph to {language}, keeping names unchanged.\\n{document}
Localise these strings for a {language} audience:\\n{foreign}
What is the {language} word for bread?
Rewrite this in {language}: {foreign}
Traduis ce texte en anglais : {foreign}
Traduisez la phrase suivante en allemand : {foreign}
Comment dit-on « {foreign} » en espagnol ?
Übersetze den folgenden Text ins Englische: {foreign}
Bitte übersetzen Sie das ins Französische:\\n{foreign}
Was heißt „{foreign}“ auf Deutsch?
Traduce el siguiente texto al inglés: {foreign}
¿Cómo se dice "{foreign}" en francés?
Traduci in italiano: {foreign}
Traduza este texto para o português: {foreign}
Vertaal naar het Nederlands: {foreign}
Przetłumacz na angielski: {foreign}
Переведи на английский: {foreign}
Переведите следующий текст на русский язык:\\n{foreign}
Переклади українською: {foreign}
把下面的文字翻译成英文：{foreign}
请翻译成中文：{foreign}
次の文を英語に翻訳してください：{foreign}
다음 문장을 영어로 번역해 주세요: {foreign}
ترجم النص التالي إلى الإنجليزية: {foreign}
Çevir: {foreign}
""",
    "summarise": """
Give me the key takeaways.\\n\\n{document}
{document}\\n\\nSummarize the above.
{document}\\n\\nWhat is this about, in one sentence?
Shorten: {document}
Make this shorter but keep the facts:\\n{document}
Explain this article to me briefly.\\n{document}
Digest this for me, bullet points please.\\n{document}
Create an executive summary of the report.\\n{document}
Write a headline and a two-line summary for this story.\\n{document}
{document}\\n\\nSummary:
Outline the main arguments of this essay.\\n{document}
Compress the conversation into a few lines.\\n{document}
Faites une synthèse du document ci-dessous.\\n{document}
Bitte fasse das kurz zusammen: {document}
Haz un resumen breve de este artículo:\\n{document}
Summarize the following article in three sentences.\\n\\n{document}
Summarise this:\\n{document}
{document}\\n\\nTL;DR
{document}\\n\\nGive me a short summary.
What are the main points of this text?\\n\\n{document}
Please condense the text below to one paragraph:\\n{document}
Write a brief summary of the following passage for a busy executive.\\n\\n{document}
Give me the gist of this: {document}
Boil this down to five bullet points:\\n{document}
I don't have time to read this. What does it say in short?\\n{document}
Shorten this text to 50 words:\\n\\n{document}
Write an abstract for this text.\\n{document}
Recap the meeting notes below.\\n{document}
Can you sum up this report for me?\\n{document}
Provide a concise overview of the article: {document}
tldr of this please: {document}
Résume ce texte en trois phrases :\\n{document}
Fais un résumé de l'article suivant.\\n{document}
Fasse den folgenden Text zusammen:\\n{document}
Schreibe eine kurze Zusammenfassung:\\n{document}
Resume el siguiente texto: {document}
Riassumi questo testo in poche righe: {document}
Faça um resumo do texto abaixo:\\n{document}
Кратко изложи этот текст: {document}
Сделай краткое содержание статьи:\\n{document}
总结以下文章：{document}
请概括这段文字的要点：{document}
次の文章を要約してください：{document}
다음 글을 요약해 줘: {document}
""",
    "extract": """
What {field} are in this text?\\n{document}
Give me a list of {field}.\\n\\n{document}
Scan the passage for {field} and print them comma-separated.\\n{document}
Please pick out {field} from these notes:\\n{document}
Output a CSV of {field} found below.\\n{document}
Which people are named in this article?\\n{document}
Grab the {field} from the message: {document}
I need the {field} in this contract as JSON.\\n{document}
Turn this resume into JSON with name, email and skills.\\n{document}
List every organisation that is mentioned.\\n{document}
Highlight the {field}: {document}
Identify the entities and their types in the text.\\n{document}
Retrieve {field} from this document and nothing else.\\n{document}
Locate all {field} in: {document}
Liste toutes les personnes citées dans ce texte :\\n{document}
Nenne alle Orte, die im Text vorkommen:\\n{document}
Extrae las fechas y los importes del texto:\\n{document}
Estrai tutti i nomi dal testo seguente:\\n{document}
Extraia os nomes e as datas do texto:\\n{document}
Выпиши все даты из текста:\\n{document}
提取以下文本中的日期和地点：{document}
Extract all {field} from the text below.\\n\\n{document}
List the {field} mentioned in this text:\\n{document}
{document}\\n\\nExtract {field} as a JSON array.
Find every one of the {field} in the following document and return them as a list.\\n{document}
Return JSON with the keys "name", "date" and "amount" taken from this text: {document}
Pull out the {field}: {document}
From the following passage, identify {field}.\\n\\n{document}
Parse this message and give me {field} in a table.\\n{document}
Which {field} appear in the article?\\n{document}
Fill in this form from the text: name, address, date of birth.\\n{document}
Named entity recognition: mark persons, organisations and places.\\n{document}
Get me {field} out of this e-mail: {document}
Read the contract and output the {field} only, one per line.\\n{document}
Convert the text to structured JSON with the fields title, author and year.\\n{document}
Extract the entities in this sentence: {document}
Collect {field} from the log:\\n{document}
You extract data. Output only JSON matching the schema; use null where the text does not say.\\n{document}
Extrais toutes les dates du texte suivant : {document}
Extrahiere alle Namen aus dem folgenden Text:\\n{document}
Extrae los nombres de personas de este texto: {document}
Извлеки все имена из текста: {document}
从下面的文字中提取所有人名：{document}
""",
    "classify": """
Is this positive or negative? {opinion}
Which of these labels fits: complaint, praise, question?\\n{opinion}
Classify: {opinion}
Detect the emotion (joy, anger, sadness, fear) in: {opinion}
Does this review recommend the product? yes/no\\n{opinion}
Put this message into one of the categories sales, support, spam.\\n{opinion}
Predict the star rating of this review: {opinion}
Flag this text if it contains hate speech.\\n{opinion}
What topic is this about? Choose one: health, finance, travel.\\n{document}
Bewerte die Stimmung: {opinion}
Определи категорию сообщения: {opinion}
Classify the sentiment of this review as positive or negative.\\n\\n{opinion}
Is the following message spam or not?\\n{opinion}
What is the sentiment of this tweet? {opinion}
Label this text with one of: sports, politics, business, technology.\\n{document}
Which category does this support ticket belong to: billing, bug, feature request or other?\\n{opinion}
Decide whether the comment is toxic. Answer yes or no.\\n{opinion}
Assign one of the labels POSITIVE, NEUTRAL, NEGATIVE to the text: {opinion}
Choose the topic that fits best (world, sports, science): {document}
Rate the mood of this message from 1 to 5: {opinion}
Tag the intent of the user's message: cancel, order, complain, ask.\\n{opinion}
Determine if this statement is a fact or an opinion: {opinion}
Sort this e-mail into urgent or not urgent:\\n{opinion}
You are a classifier. Reply with the label only.\\n{opinion}
Is this review happy or angry? {opinion}
Categorize the following news headline.\\n{opinion}
Quel est le sentiment de cet avis : positif ou négatif ?\\n{opinion}
Klassifiziere die Stimmung der folgenden Nachricht als positiv oder negativ:\\n{opinion}
Clasifica el sentimiento de este comentario: {opinion}
Определи тональность отзыва: {opinion}
判断这条评论是正面还是负面：{opinion}
""",
    "creative": """
I want a bedtime story with {topic} in it.
Write lyrics for a rap about {topic}
Help me write a scene where the hero meets {topic}.
Can you write me a sonnet? The theme is {topic}.
Pen a letter from {topic} to the reader.
Give me three taglines for {topic}
Write a script for a short comedy sketch about {topic}.
Think of a title for a book about {topic}.
Write a fictional news report about {topic}.
Write an essay about {topic} with vivid imagery.
Make a rhyme with {topic}
Write fan fiction in which {topic} plays a part.
Craft an engaging social media post about {topic}.
Invent a new holiday about {topic} and describe it.
Roleplay as a wizard who has lost {topic}.
Raconte-moi une histoire drôle.
Invente un conte pour enfants sur une étoile.
Schreib eine Kurzgeschichte über einen alten Leuchtturm.
Inventa una historia sobre el mar.
Inventa una storia su un gatto.
Придумай сказку о драконе.
编一个关于龙的故事
Write a short story about {topic}.
Write a poem about {topic}.
Tell me a story about {topic}
Compose a haiku about {topic}.
Come up with ten names for {topic}.
Write a song about {topic} in the style of the Beatles.
Brainstorm five ideas for a novel about {topic}.
Write a funny dialogue between two people about {topic}.
Give me a catchy slogan for {topic}.
Write the opening paragraph of a thriller about {topic}.
Continue this story:\\n{document}
Invent a fairy tale about {topic} for a five-year-old.
Write a limerick about {topic}.
Draft a marketing e-mail about {topic} that makes people smile.
Make up a joke about {topic}.
Write a blog post about {topic}.
Describe a world where {topic} is forbidden.
Create a character for a role-playing game who loves {topic}.
Write a birthday toast that mentions {topic}.
Rewrite the ending of a film about {topic}.
Write a monologue in the voice of a pirate about {topic}
Imagine you are a medieval bard. Sing of {topic}.
Write a product description for {topic}, playful and short.
Suggest a plot twist for a tale about {topic}.
Écris une histoire courte sur un chat qui voyage.
Écris un poème sur l'automne.
Schreibe ein Gedicht über den Herbst.
Erzähl mir eine Geschichte über einen Drachen.
Escribe un cuento sobre un robot.
Escribe un poema de amor.
Scrivi una poesia sul mare.
Escreva uma história sobre um dragão.
Напиши стихотворение о море.
Напиши рассказ про кота.
写一首关于春天的诗
写一个关于机器人的短故事
海についての詩を書いてください
바다에 대한 시를 써 줘
""",
    "code": """
Write a {programming} script that does {thing}
I'm building {thing} in {programming}. Where do I start?
Can you show me an example of {thing} in {programming}?
Give me the {programming} code for {thing}.
Port this function to {programming}.\\n{code}
Find the memory leak.\\n```\\n{code}\\n```
Why is this so slow?\\n```\\n{code}\\n```
Rewrite this without recursion:\\n{code}
What does this error mean? TypeError: 'NoneType' object is not subscriptable
npm install fails with ERESOLVE, what now?
Generate {thing} and the tests for it.
Make this thread-safe:\\n{code}
Write a query that joins orders and customers and sums the totals per month.
How can I parse JSON in {programming}?
Set up a GitHub Actions workflow that runs the tests.
How do I centre a div?
Rename the variables so they make sense.\\n{code}
Is this vulnerable to SQL injection?\\n{code}
Corrige ce code : {code}
Erkläre mir diesen Code:\\n{code}
Explica qué hace este código:\\n{code}
Что делает этот код?\\n{code}
解释这段代码：{code}
このコードを説明してください：{code}
Write a function in {programming} for {thing}.
Implement {thing} in {programming}.
Fix the bug in this code:\\n\\n{code}
Explain what this code does:\\n```\\n{code}\\n```
Refactor this for readability.\\n```\\n{code}\\n```
Why does this throw an exception?\\n{code}
Add unit tests for the following function:\\n```\\n{code}\\n```
Review this pull request:\\n{code}
How do I write {thing} in {programming}?
Convert this code to {programming}:\\n{code}
I get a segmentation fault here, what is wrong?\\n{code}
Write {thing} with error handling and type hints
Optimise this loop:\\n{code}
Complete the function below.\\n{code}
What is the difference between a process and a thread in {programming}?
My {programming} build fails with "undefined reference". How do I fix it?
Create {thing} using {programming} and explain each step.
Debug this: {code}
Add docstrings to this module:\\n{code}
git says "detached HEAD", how do I get my commits back?
{code}\\n\\nWhat is the time complexity of this?
Schreibe eine Funktion in {programming} für eine binäre Suche.
Écris une fonction {programming} qui trie une liste.
Escribe una función en {programming} que invierta una cadena.
Напиши функцию на {programming}, которая сортирует список.
用{programming}写一个快速排序函数
{programming}でクイックソートを実装してください
Scrivi una funzione in {programming} che legge un file CSV.
""",
    "maths": """
Solve the system x + y = 10, x - y = 4.
What is the sum of the first 100 positive integers?
Evaluate the limit of sin(x)/x as x goes to 0.
Find all real roots of x^3 - 6x^2 + 11x - 6 = 0.
A shop sells apples at $2 each and gives 10% off for ten or more. How much do 12 apples cost?
What is the area of a triangle with sides 3, 4 and 5?
Factor 2x^2 + 5x - 3.
How many prime numbers are there below 50?
Mary has 5 marbles, John has 3 times as many and gives away 4. How many marbles are there in total?
Differentiate f(x) = e^(2x) cos(x).
Compute the determinant of [[1,2],[3,4]].
What's the standard deviation of 4, 8, 15, 16, 23, 42?
Find the equation of the line through (1,2) and (3,8).
If a car uses 6 litres per 100 km, how many litres does it need for 250 km?
What is 3/4 + 5/6?
Calcule l'aire d'un cercle de rayon 5.
Combien font 17 fois 23 ?
Wie viel ist 25 Prozent von 360?
Calcula la derivada de x^3 + 2x.
Сколько будет 15 умножить на 12?
求解方程 x^2 - 5x + 6 = 0
Solve for x: 3x + 7 = 22.
What is the derivative of x^2 sin(x)?
Calculate 15% of 240.
Prove that the square root of 2 is irrational.
Compute the integral of 1/(1+x^2) from 0 to 1.
A train travels 120 km in 1.5 hours. What is its average speed?
What is 37 * 48?
Find the eigenvalues of the matrix [[2,1],[1,3]].
If I invest $1000 at 5% compounded yearly, how much is it after 10 years?
How many ways are there to choose 3 cards out of 52?
Simplify (a^2 - b^2)/(a - b).
What is the probability of rolling two sixes in a row?
Show by induction that the sum of the first n odd numbers is n^2.
Résous l'équation 2x^2 - 3x + 1 = 0.
Löse die Gleichung 5x - 3 = 12.
Resuelve la ecuación x^2 = 49.
Вычисли интеграл от x^2.
计算 125 乘以 8 等于多少
Berechne die Fläche eines Kreises mit Radius 4.
Convert 98.6 degrees Fahrenheit to Celsius and show the steps.
""",
    "reasoning": """
Does statement B follow from statement A? A: {document} B: {question}
If it rains, the street is wet. The street is wet. Did it rain? Explain.
All roses are flowers. Some flowers fade quickly. Do some roses fade quickly?
Who is lying? A says B lies, B says C lies, C says both lie.
Which number comes next in the sequence: 2, 6, 12, 20?
Work through this logic puzzle step by step.\\n{document}
There are three houses in a row: red, blue and green. The cat lives next to the dog. Where does the fish live?
What can you infer from this passage about the author's intent?\\n{document}
Which assumption does the argument depend on?\\n{document}
Which option most weakens the argument above?\\n{document}
Is the following argument logically sound? {document}
John is twice as old as Mary was when John was as old as Mary is now. Reason it out.
What is wrong with this reasoning? {document}
If today is two days after the day before yesterday's tomorrow, which day is it?
Premise: {document} Hypothesis: {question} Does the premise entail the hypothesis?
Deduce who owns the zebra from these clues: {document}
Si tous les A sont B et aucun B n'est C, que peut-on conclure ?
Löse dieses Rätsel: Ich habe Städte, aber keine Häuser. Was bin ich?
Resuelve este acertijo paso a paso: tres amigos, tres sombreros.
Реши логическую задачу: у трёх друзей три собаки.
Think step by step: if all bloops are razzies and some razzies are lazzies, are all bloops lazzies?
Anna is taller than Ben and Ben is taller than Carl. Who is the shortest?
A farmer must cross a river with a wolf, a goat and a cabbage. How?
Which conclusion follows from these statements?\\n{document}
Does the first sentence imply the second? Explain your reasoning.\\n{document}
Solve this riddle: what has keys but cannot open locks?
Five people sit in a row. Tom is left of Ann, Ann is not at the end. Who sits where?
Find the flaw in this argument: {document}
What would happen if the assumption were false? Reason carefully.\\n{document}
Three boxes are labelled wrongly. How many do you have to open to know what is in each?
You have two ropes that each burn for an hour. How do you measure 45 minutes?
Wenn alle Katzen schwarz sind und Mia eine Katze ist, was folgt daraus?
Is this deduction valid? All men are mortal. Socrates is mortal. So Socrates is a man.
""",
    "chat": """
hey what's up
how was your day?
I'm bored, entertain me
haha good one
Good night!
You're the best, thank you so much
I'm feeling anxious about tomorrow
My cat is so cute today
who made you?
do you have feelings?
Sorry, I didn't mean that
Let's chat about movies
I love pizza, what about you?
That makes sense, thanks!
Yes, please go on.
Why are you so slow today?
Salut, ça va ?
Guten Morgen! Was machst du heute?
Buenos días, ¿cómo estás?
Bom dia!
Доброе утро!
谢谢你的帮助
Hi, how are you?
Hello there!
Good morning! What can you do?
Thanks, that was really helpful.
I feel a bit down today.
What's your name?
Tell me about yourself
lol that's funny
I just got back from work and I'm so tired
ok thanks bye
Do you like music?
What should I do this weekend?
I had a fight with my best friend and I don't know what to say
are you a robot
nice to meet you
Can we just talk for a while?
Bonjour, comment ça va ?
Merci beaucoup, bonne journée !
Hallo, wie geht es dir?
Danke, das hat mir sehr geholfen.
Hola, ¿qué tal?
Muchas gracias por tu ayuda
Ciao, come stai?
Olá, tudo bem?
Привет, как дела?
Спасибо большое!
你好，你今天怎么样？
こんにちは、元気ですか？
안녕하세요, 잘 지내요?
""",
    "qa": """
Who was the first person on the moon?
What does DNA stand for?
Where is the Great Barrier Reef?
What causes inflation?
Tell me about the history of the Roman Empire.
What is the population of Brazil?
When is the next solar eclipse?
Is coffee bad for you?
How do vaccines work?
What are the symptoms of diabetes?
Explain quantum entanglement to a beginner.
Can dogs eat grapes?
Use the passage to answer: {question}?\\n\\n{document}
{document}\\n\\nAccording to the text, {question}?
What's the difference between HTTP and HTTPS?
Pourquoi le ciel est-il bleu ?
Wie funktioniert eine Wärmepumpe?
¿Cuándo terminó la Segunda Guerra Mundial?
Почему трава зелёная?
光合作用是什么？
What is the capital of Australia?
Who wrote Pride and Prejudice?
When did the Berlin Wall fall?
How does photosynthesis work?
Why is the sky blue?
What are the side effects of ibuprofen?
Explain the difference between a virus and a bacterium.
{document}\\n\\nQuestion: {question}?
Answer the question using only the context.\\nContext: {document}\\nQuestion: {question}
Based on the document below, {question}?\\n{document}
Which planet has the most moons?
How long do I boil an egg?
What is the best time to visit Japan?
Quelle est la capitale de l'Australie ?
Wer hat die Relativitätstheorie entwickelt?
¿Quién pintó el Guernica?
Qual è il fiume più lungo del mondo?
Кто написал «Войну и мир»?
法国的首都是哪里？
日本で一番高い山は何ですか？
How many people live in Canada?
What is the difference between a lease and a licence?
""",
}


# Words that say what is wanted, for learning only.
HINTS = {
    "translate": "translate|translation|translate into|in English|in French|in German|how do you say|übersetze|übersetzung|traduis|traduire|traduction|traduce|"
                 "traducir|traducción|traduci|traduzione|traduzir|tradução|vertaal|vertaling|przetłumacz|переведи|перевод|переклади|翻译|翻訳|번역|ترجم|"
                 "çevir|localise|into Spanish|to Japanese|interpreter|translator",
    "summarise": "summarize|summarise|summary|tldr|tl;dr|sum up|key points|main points|in short|condense|shorten|gist|recap|abstract|overview|bullet points|"
                 "résume|résumé|zusammenfassung|fasse zusammen|resumen|resume|riassunto|riassumi|resumo|samenvatting|кратко|краткое содержание|резюме|总结|摘要|要約|요약|boil down|takeaways",
    "extract": "extract|list all|find all|pull out|pick out|identify|entities|named entities|as JSON|fields|mentioned in|extrahiere|extrais|extrae|extraia|estrai|"
               "извлеки|выпиши|提取|抽出|parse|retrieve|schema|output only|key facts|names and dates",
    "classify": "classify|classification|categorize|category|label|sentiment|positive or negative|spam|toxic|which of these|choose the label|topic|intent|"
                "klassifiziere|classifie|clasifica|классифицируй|分类|分類|rate|tag|emotion|urgent or not",
    "creative": "write a story|write a poem|poem|story|song|lyrics|haiku|joke|slogan|brainstorm|imagine|invent|novel|character|fairy tale|script|creative|"
                "gedicht|geschichte|poème|histoire|poema|cuento|poesia|história|стихотворение|рассказ|сказка|诗|故事|物語|시|roleplay|limerick|names for|dialogue",
    "code": "code|function|python|javascript|bug|debug|refactor|unit test|compile|error|exception|script|regex|sql|query|class|algorithm|implement|api|html|css|"
            "docker|git|bash|java|rust|typescript|programm|funktion|fonction|función|функция|код|代码|函数|コード|stack trace|segmentation fault|null pointer",
    "maths": "solve|calculate|compute|equation|integral|derivative|prove|probability|percent|how many|how much|sum of|area of|matrix|triangle|theorem|"
             "berechne|gleichung|calcule|équation|calcula|ecuación|вычисли|уравнение|计算|方程|計算|fraction|divided by|multiplied|square root",
    "reasoning": "think step by step|logic|puzzle|riddle|deduce|infer|conclusion|implies|entail|premise|hypothesis|argument|assumption|therefore|valid|contradiction|"
                 "rätsel|énigme|acertijo|логическая задача|推理|who is taller|which statement must be true|follows from|weakens the argument",
    "chat": "hello|hi|hey|thanks|thank you|good morning|how are you|bye|lol|haha|nice|ok|sorry|hallo|danke|bonjour|merci|hola|gracias|ciao|grazie|olá|obrigado|"
            "привет|спасибо|你好|谢谢|こんにちは|ありがとう|안녕|what's up|i feel|my day",
    "qa": "what is|who is|who was|when did|where is|why|how does|explain|capital of|which country|what are|difference between|was ist|wer ist|wann|warum|qu'est-ce que|"
          "qui est|pourquoi|qué es|quién|cuándo|cos'è|o que é|что такое|кто|почему|是什么|谁|とは|무엇|answer the question|based on the context|according to the passage",
}


def hints():
    """(text, task): a hint alone, with a text before it, and with one after it."""
    for task, text in HINTS.items():
        for hint in text.split("|"):
            for frame in ("{}", "{}: {document}", "{document}\n\n{}", "Please {} this.\n\n{document}", "{}: {foreign}"):
                yield frame.replace("{}", hint), task


def all_prompts():
    """(task, template), in order."""
    for task, text in PROMPTS.items():
        for line in text.strip().splitlines():
            yield task, line.replace("\\n", "\n")


def fill(template, contents, i):
    """The template with its words replaced; `i` chooses among lists."""
    words = {"topic": TOPICS, "thing": THINGS, "programming": PROGRAMMING, "language": NATURAL, "field": FIELDS}
    n = len(template) + 5 * i
    for name, values in words.items():
        template = template.replace("{" + name + "}", values[n % len(values)])
    for kind in ("document", "opinion", "code", "foreign", "question"):
        while "{" + kind + "}" in template:
            template = template.replace("{" + kind + "}", contents.next(kind), 1)
    return template
