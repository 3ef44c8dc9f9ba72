"""What people in Harbour City write in Spanish, Arabic, Russian and Kazakh, and how they talk in each language."""
# ruff: noqa: E501 - a sentence a line, in the letters people use

Lines = tuple[str, ...]

SPANISH: dict[str, Lines] = {
    "pothole": (
        "roadway|Hay un bache muy profundo en {street}, los carros tienen que esquivarlo.",
        "roadway|El asfalto está roto frente a {landmark}, ya se me ponchó una llanta.",
        "bike_lane|Hoyo en el carril de bicicletas de {street}.",
    ),
    "street_light": (
        "outage|La farola frente a mi casa no enciende desde hace {days} días.",
        "several_out|Toda la cuadra de {street} está oscura, da miedo caminar de noche.",
    ),
    "traffic_signal": ("stuck|El semáforo de {street} se quedó en rojo.", "dark|El semáforo está apagado en todas las direcciones."),
    "street_cleaning": ("full_bin|La papelera cerca de {landmark} está llena.", "broken_glass|Hay vidrios rotos por toda la acera."),
    "water_leak": ("hydrant|El hidrante de la esquina está goteando desde ayer.", "no_water|No tenemos agua en el edificio desde la mañana."),
    "missed_trash": ("trash|No pasó el camión de la basura esta semana.", "recycling|No recogieron el reciclaje en {street}."),
    "bulk_pickup": ("furniture|Quiero pedir la recogida de un sofá y un colchón.",),
    "illegal_dumping": ("construction|Tiraron escombros en el lote baldío de {street}.", "construction|Otra vez dejaron llantas viejas en el callejón."),
    "graffiti": ("Pintaron la pared junto a {landmark}.", "Hay grafitis nuevos en la parada del tranvía."),
    "rodent": ("Hay ratas en los botes de basura detrás del restaurante.", "Vimos ratones en el patio otra vez."),
    "noise": ("party|Música muy alta todas las noches hasta las tres.", "construction|Empiezan la obra antes de las seis de la mañana."),
    "illegal_parking": ("driveway|Un camión bloquea la entrada de mi garaje.", "bike_lane|Siempre estacionan sobre la acera de {street}."),
    "housing_condition": ("heat|Llevamos {days} días sin calefacción.", "mold|Hay moho en el baño y el casero no hace nada."),
    "general_inquiry": ("¿Cómo pido un permiso de estacionamiento para visitas?", "Gracias a la cuadrilla que arregló {street}."),
}  # fmt: skip

ARABIC: dict[str, Lines] = {
    "pothole": ("roadway|توجد حفرة عميقة في {street} وتضطر السيارات إلى الالتفاف حولها.", "roadway|الأسفلت متضرر أمام {landmark} منذ {days} أيام."),
    "street_light": ("outage|عمود الإنارة أمام منزلنا معطل منذ {days} أيام.", "several_out|شارع {street} مظلم تماماً في الليل."),
    "water_leak": ("hydrant|تتسرب المياه من صنبور الحريق عند الزاوية.", "no_water|لا توجد مياه في بنايتنا منذ الصباح."),
    "missed_trash": ("trash|لم تُجمع النفايات هذا الأسبوع في {street}.",),
    "street_cleaning": ("full_bin|سلة المهملات قرب {landmark} ممتلئة.",),
    "illegal_parking": ("driveway|سيارة تسد مدخل منزلي.",),
    "noise": ("party|موسيقى صاخبة كل ليلة حتى الثالثة صباحاً.",),
    "housing_condition": ("heat|لا تدفئة في شقتنا منذ {days} أيام.",),
    "general_inquiry": ("كيف أحصل على تصريح وقوف للزوار؟",),
}  # fmt: skip

RUSSIAN: dict[str, Lines] = {
    "pothole": ("roadway|Глубокая яма на {street}, машины объезжают по встречной.", "utility_cut|Просел люк у {landmark}, по ночам гремит."),
    "street_light": ("outage|Не горит фонарь у нашего дома уже {days} дней.", "several_out|Вся {street} без света, страшно ходить."),
    "traffic_signal": ("dark|Светофор не работает во все стороны.", "pedestrian|Кнопка перехода у {landmark} не срабатывает."),
    "street_cleaning": ("full_bin|Урна на остановке переполнена.", "broken_glass|Битое стекло на дорожке у {landmark}."),
    "water_leak": ("main_break|Чистая вода течёт из-под асфальта на {street}.", "no_water|С утра нет воды во всём доме."),
    "missed_trash": ("trash|Не вывезли мусор, пакеты стоят {days} дней.", "recycling|Мусоровоз проехал мимо нашей стороны улицы."),
    "illegal_dumping": ("construction|На пустыре свалили строительный мусор.",),
    "flooding": ("Ливнёвка забита, весь перекрёсток стоит в воде.",),
    "tree_pruning": ("pruning|Нужно обрезать ветки, они бьют в окно.",),
    "rodent": ("Крысы у мусорных баков за рестораном.",),
    "noise": ("construction|Стройка шумит с пяти утра.", "party|Музыка из бара до трёх ночи."),
    "housing_condition": ("heat|Нет отопления уже {days} дней.", "mold|Плесень в ванной, хозяин квартиры не отвечает."),
    "general_inquiry": ("Как оформить парковку для гостей?", "Спасибо бригаде, которая починила {street}."),
}  # fmt: skip

KAZAKH: dict[str, Lines] = {
    "pothole": ("roadway|{street} көшесінде терең шұңқыр бар, көліктер айналып өтеді.", "roadway|{landmark} жанында асфальт бұзылған."),
    "street_light": ("outage|Үйіміздің алдындағы көше шамы {days} күннен бері жанбайды.", "several_out|{street} бойы қараңғы."),
    "water_leak": ("no_water|Таңнан бері үйде су жоқ.", "hydrant|Бұрыштағы гидранттан су ағып жатыр."),
    "missed_trash": ("trash|Қоқыс осы аптада шығарылған жоқ.",),
    "street_cleaning": ("full_bin|{landmark} жанындағы қоқыс жәшігі толып кетті.",),
    "noise": ("party|Түнгі үшке дейін қатты музыка.",),
    "tree_pruning": ("pruning|Терезе алдындағы бұтақтарды кесу керек.",),
    "general_inquiry": ("Қонақтарға арналған тұрақ рұқсатын қалай алуға болады?",),
}  # fmt: skip

OTHER_LANGUAGES: dict[str, dict[str, Lines]] = {"es": SPANISH, "ar": ARABIC, "ru": RUSSIAN, "kk": KAZAKH}

TALK: dict[str, dict[str, Lines]] = {
    "en": {
        "question": ("Any news on this?", "When will somebody come?", "It is still there.", "It is in front of the blue door, a bit to the left.", "More photos on request."),
        "answer": ("A crew is planned for this week.", "We are waiting for a part and will come as soon as it is here.", "Thank you, the crew has the extra details.", "Sorry for the wait. The inspector comes tomorrow morning."),
        "update": ("Crew was on site and secured the place.", "First half is done, the rest follows tomorrow.", "Materials are on their way."),
        "praise": ("Great job, thank you!", "That was quick.", "Friendly crew.", "Works again, thanks.", "Could not be better."),
        "complaint": ("It took far too long.", "Nobody told me anything for weeks.", "They left a mess behind.", "Fixed, but I had to ask three times."),
        "dispute": ("This is not fixed at all.", "They closed it but it looks the same as before.", "The problem came back the same evening."),
    },
    "es": {
        "question": ("¿Hay noticias?", "¿Cuándo van a venir?", "Sigue igual."),
        "answer": ("La cuadrilla viene esta semana.", "Gracias, ya tenemos los datos.", "Disculpe la espera, mañana pasa el inspector."),
        "update": ("La cuadrilla ya aseguró el lugar.",),
        "praise": ("¡Excelente trabajo, gracias!", "Muy rápido.", "Muy amables."),
        "complaint": ("Tardaron demasiado.", "Nadie me avisó de nada."),
        "dispute": ("No está arreglado.", "Quedó igual que antes."),
    },
    "ar": {
        "question": ("هل من جديد؟", "متى سيأتي الفريق؟"),
        "answer": ("سيأتي الفريق هذا الأسبوع.", "شكراً، وصلتنا التفاصيل."),
        "update": ("تم تأمين الموقع.",),
        "praise": ("عمل ممتاز، شكراً!", "استجابة سريعة."),
        "complaint": ("استغرق الأمر وقتاً طويلاً.",),
        "dispute": ("لم تُحل المشكلة.",),
    },
    "ru": {
        "question": ("Есть новости?", "Когда приедут?", "Всё по-прежнему."),
        "answer": ("Бригада приедет на этой неделе.", "Спасибо, передали бригаде.", "Извините за ожидание, завтра утром будет инспектор."),
        "update": ("Бригада была на месте, опасное место огорожено.",),
        "praise": ("Отличная работа, спасибо!", "Очень быстро.", "Вежливые ребята."),
        "complaint": ("Слишком долго.", "Никто ничего не сообщал."),
        "dispute": ("Ничего не исправлено.", "Осталось так же, как было."),
    },
    "kk": {
        "question": ("Жаңалық бар ма?", "Қашан келеді?"),
        "answer": ("Бригада осы аптада келеді.", "Рахмет, мәліметті бердік."),
        "update": ("Бригада орнында болды.",),
        "praise": ("Өте жақсы жұмыс, рахмет!", "Тез орындалды."),
        "complaint": ("Тым ұзақ болды.",),
        "dispute": ("Мәселе шешілмеген.",),
    },
}  # fmt: skip
