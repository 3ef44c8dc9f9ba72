"""What customers of the sample brokerage write, in Russian, Kazakh and English, by type of ticket.

Slots: {sum} (an amount), {paper} (a security), {days}, {town}.
"""

from random import Random

Lines = tuple[str, ...]

LETTERS: dict[str, dict[str, Lines]] = {
    "complaint": {
        "ru": (
            "Уже {days} дней никто не отвечает на моё обращение. Так с клиентами не работают!",
            "Сотрудник офиса разговаривал со мной грубо и отказался принять заявление. Прошу разобраться.",
            "Счёт заблокировали без объяснений, по телефону держат на линии по сорок минут. Очень недоволен.",
            "Комиссия по {paper} выросла, а предупредить забыли. Считаю это неуважением.",
            "Третий раз пишу про одно и то же, в ответ только отписки. Жалуюсь на работу поддержки.",
            "Котировки в терминале отстают, из-за этого постоянно путаница. Безобразие.",
            "В отделении в городе {town} очередь на два часа и работает одно окно. Ужасное обслуживание.",
        ),
        "kk": (
            "Өтінішіме {days} күн бойы ешкім жауап бермейді, қызмет көрсетуге наразымын.",
            "Кеңсе қызметкері дөрекі сөйлеп, өтінішімді қабылдамады. Шағымданамын.",
            "Шотымды түсіндірмей бұғаттадыңыздар, бұл дұрыс емес.",
            "Қолдау қызметіне қоңырау шалу мүмкін емес, көңілім толмайды.",
        ),
        "en": (
            "I have been waiting for {days} days and nobody answers my letters. This is unacceptable.",
            "The employee in your {town} office was rude and refused to take my papers. I want to complain.",
            "My account was blocked without a word of explanation, I am very disappointed.",
            "Your quotes for {paper} are late all the time. Terrible service.",
        ),
    },
    "data_change": {
        "ru": (
            "Прошу сменить номер телефона в личном кабинете, старый больше не обслуживается.",
            "Получил новое удостоверение личности, как обновить данные? Старое просрочено.",
            "Вышла замуж, нужно изменить фамилию в договоре и в личном кабинете.",
            "Переехал в {town}, прошу изменить адрес регистрации в анкете.",
            "Хочу поменять электронную почту, к прежней потерял доступ.",
            "Прошу удалить мои персональные данные и закрыть счёт, согласие отзываю.",
        ),
        "kk": (
            "Телефон нөмірімді ауыстырғым келеді, ескі нөмірім істемейді.",
            "Жаңа жеке куәлік алдым, деректерімді жаңартып беріңіздерші.",
            "Тұрғылықты мекенжайым өзгерді, {town} қаласына көштім.",
            "Электрондық поштамды жаңасына өзгерту керек.",
        ),
        "en": (
            "Please change the phone number of my account, I have a new SIM card.",
            "My passport has expired, how do I update my documents?",
            "I moved to {town} and want to update my address.",
            "Please delete my personal data, I withdraw my consent.",
        ),
    },
    "consultation": {
        "ru": (
            "Подскажите, как купить {paper} и какая будет комиссия?",
            "Какие документы нужны, чтобы открыть счёт на ребёнка?",
            "Можно ли вывести {sum} тенге на карту другого банка и сколько это займёт?",
            "Здравствуйте! Как рассчитывается налог с дивидендов по {paper}?",
            "Работает ли офис в городе {town} в субботу?",
            "Хочу узнать, что означает статус «частично исполнен» у моей заявки.",
            "Где заказать справку о движении средств за год для налоговой?",
        ),
        "kk": (
            "{paper} қалай сатып алуға болады, комиссиясы қанша?",
            "Шот ашу үшін қандай құжаттар керек екенін айтып беріңізші.",
            "{town} қаласындағы кеңсе сенбіде жұмыс істей ме?",
            "Дивидендтен салық қалай есептеледі, түсіндіріңіз.",
            "Басқа банктің картасына ақша шығаруға бола ма?",
        ),
        "en": (
            "Could you tell me how to buy {paper} and which fee applies?",
            "Which documents do I need to open an account from abroad?",
            "How long does a withdrawal of {sum} tenge to another bank take?",
            "Do you provide a tax certificate for dividends in English?",
            "What does the order status partially filled mean?",
        ),
    },
    "claim": {
        "ru": (
            "С меня дважды списали комиссию, {sum} тенге. Требую вернуть деньги!",
            "Перевод на {sum} тенге так и не поступил на счёт за {days} дней. Верните деньги, иначе подам в суд.",
            "Заявку на {paper} не исполнили по вашей вине, требую возместить убыток {sum} тенге.",
            "Направляю досудебную претензию: средства удерживаются без оснований уже {days} дней.",
            "Дивиденды по {paper} не выплачены. Если до пятницы не зачислите, обращусь к регулятору.",
        ),
        "kk": (
            "Комиссия екі рет шегерілді, {sum} теңгені қайтарыңыздар!",
            "{sum} теңге аударым {days} күн бойы шотқа түскен жоқ, қайтармасаңыздар сотқа беремін.",
            "Орындалмаған тапсырыс үшін шығынымды өтеуді талап етемін.",
        ),
        "en": (
            "You charged the commission twice, {sum} tenge. I demand a refund.",
            "A transfer of {sum} tenge has not arrived for {days} days. Give my money back or I will take legal action.",
            "I claim compensation for the order in {paper} that you failed to execute.",
        ),
    },
    "app_failure": {
        "ru": (
            "Не могу войти в приложение: пишет «неверный код», хотя код из СМС правильный.",
            "СМС с кодом не приходит уже {days} дней, войти в кабинет невозможно.",
            "Приложение вылетает сразу после обновления, телефон перезагружал.",
            "При регистрации ошибка на шаге с фотографией документа, скриншот прилагаю.",
            "Не удаётся восстановить пароль, письмо не приходит.",
            "При отправке заявки на {paper} появляется ошибка сервера.",
            "Портфель после обновления пустой, графики не открываются.",
        ),
        "kk": (
            "Қосымшаға кіре алмаймын, СМС код келмейді.",
            "Тіркелу кезінде құжат суретінде қате шығады, не істеймін?",
            "Жаңартудан кейін қосымша ашылмайды, бірден жабылып қалады.",
            "Құпиясөзді қалпына келтіре алмай жатырмын, хат келмейді.",
        ),
        "en": (
            "I cannot log in, the SMS code never arrives.",
            "The app crashes right after the update, I tried to reinstall it.",
            "Registration stops at the photo of the document with an error message.",
            "Password reset does not work, no e-mail comes.",
        ),
    },
    "fraud": {
        "ru": (
            "Мне звонили якобы от вашей компании и просили код из СМС. Похоже на мошенников!",
            "С моего счёта пропало {sum} тенге, я эту операцию не совершал. Срочно заблокируйте!",
            "Аккаунт взломали, сменили почту и вывели деньги. Помогите!",
            "Нашёл сайт с вашим логотипом, который собирает пароли клиентов.",
            "Перевёл {sum} тенге «брокеру» из мессенджера, теперь он не отвечает. Это мошенники?",
        ),
        "kk": (
            "Компанияңыздың атынан алаяқтар қоңырау шалып, СМС код сұрады.",
            "Шотымнан {sum} теңге ұрланды, бұл операцияны мен жасаған жоқпын!",
            "Аккаунтымды бұзып кіріп, ақшамды шығарып алды, көмектесіңіздер.",
        ),
        "en": (
            "Somebody called pretending to be your company and asked for the SMS code. Is this a scam?",
            "There is an unauthorized transaction of {sum} tenge on my account, please block it at once.",
            "My account was hacked and the money is gone.",
        ),
    },
    "spam": {
        "ru": (
            "Офисная мебель от производителя, скидки до конца месяца! Доставка в {town} бесплатно.",
            "Приглашаем на вебинар по продажам, первым участникам подарки. Отписаться можно по ссылке.",
            "Продвижение сайтов, настройка рекламы, коммерческое предложение во вложении.",
            "Цветы и подарки оптом, специальные цены для корпоративных клиентов.",
        ),
        "kk": (
            "Кеңсе жиһазына арнайы баға, жеткізу тегін! Жеңілдік айдың соңына дейін.",
            "Тегін вебинарға шақырамыз, сілтеме бойынша тіркеліңіз.",
        ),
        "en": (
            "Special offer on office furniture, free delivery to {town} this week only. Buy now.",
            "Join our free marketing webinar, to unsubscribe follow the link.",
        ),
    },
}  # fmt: skip

OPENINGS: dict[str, Lines] = {
    "ru": ("", "", "Здравствуйте.\n", "Добрый день!\n", "Здравствуйте! "),
    "kk": ("", "Сәлеметсіз бе!\n", "Қайырлы күн. "),
    "en": ("", "", "Hello,\n", "Good afternoon. "),
}
CLOSINGS: dict[str, Lines] = {
    "ru": ("", "", "\nС уважением.", "\nСпасибо.", " Жду ответа."),
    "kk": ("", "", "\nРахмет.", "\nЖауап күтемін."),
    "en": ("", "", "\nThank you.", "\nKind regards."),
}
PAPERS = ("облигации Минфина", "Kaspi.kz", "Apple", "КазМунайГаз", "Halyk Bank", "S&P 500 ETF")


def letter(rng: Random, kind: str, language: str, *, town: str) -> str:
    """One customer's text of that type of ticket."""
    line = rng.choice(LETTERS[kind][language])
    slots = {
        "sum": f"{rng.randrange(5, 900)} {rng.choice(('000', '500'))}",
        "paper": rng.choice(PAPERS),
        "days": rng.randrange(2, 15),
        "town": town,
    }
    return rng.choice(OPENINGS[language]) + line.format(**slots) + rng.choice(CLOSINGS[language])
